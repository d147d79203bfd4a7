"""What runs before each route, in this order: authentication and rights, limits, and the body.

A body is read only after its sender was admitted, except on routes without a token, which read at most 64 KiB. Of
these, webhooks check the signature before they parse anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import Request, Response
from fastapi._compat import ModelField
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute, request_response
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from makegood_chassis.http import openapi
from makegood_chassis.http.bodies import LIMIT, WEBHOOK_LIMIT, BodyRequest
from makegood_chassis.http.context import SCOPE_KEY, RequestContext
from makegood_chassis.http.limits import Limits, Stay
from makegood_chassis.http.problems import MOST_ERRORS, Problem
from makegood_chassis.http.rights import ACCESS_KEY, Operation

WEBHOOKS: Final = "/v1/webhooks/"
ONE_CLICK: Final = "/v1/unsubscribe/"
"""Mail programs post a form there (RFC 8058). Only the address matters."""
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_FIELDS: Final = 200
"""Maximum members of a body's object. No valid request has a tenth of them."""
_MOST_FAULTS: Final = 4 * MOST_ERRORS
"""If there are more faults than this, they are not listed one by one, because that costs more than finding them."""


def put_before(route: APIRoute, limits: Limits, *, expensive: bool) -> None:
    """Makes the gate the only way to the route."""
    operation = next(
        (call for call in openapi.dependencies(route.dependant) if isinstance(call, Operation)),
        None,
    )
    takes_body = not (route.methods or set()) <= _BODYLESS
    any_body = route.path.startswith((WEBHOOKS, ONE_CLICK))
    parses = route.body_field is not None
    fields = route.dependant.body_params
    fields[:] = [_BodyField(field.field_info, field.name, field.mode, field.config) for field in fields]
    handle: Callable[[Request], Awaitable[Response]] = route.get_route_handler()

    async def admitted(outer: Request) -> Response:
        request = BodyRequest(outer.scope, outer.receive)
        context: RequestContext = request.scope[SCOPE_KEY]
        stay = context.stay
        assert stay is not None
        if operation is not None:
            request.scope[ACCESS_KEY] = await operation(request)
        if takes_body and operation is None:
            await request.read(limit=WEBHOOK_LIMIT)  # a slow anonymous body must not hold a place
        await stay.enter(_person(context, request.scope, expensive), expensive=expensive)
        if takes_body and operation is not None:
            await request.read(limit=LIMIT)
        if takes_body and not any_body:
            request.check(parse=parses)
        response = await handle(request)
        if isinstance(response, StreamingResponse):
            if expensive:
                response.body_iterator = stay.paced(response.body_iterator)
            else:
                stay.leave()  # it may last for hours, and has its own limits
        return response

    route.app = _Accounted(request_response(admitted), limits)


def _person(context: RequestContext, scope: Scope, expensive: bool) -> str | None:
    """The person whose limits apply: the caller. Expensive operations without a token are identified by the secret in
    the address.
    """
    if context.caller is not None:
        return context.caller.subject
    return str(scope["path"]) if expensive else None


class _Accounted:
    """Measures what a request costs, and returns its place at the end."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context: RequestContext = scope[SCOPE_KEY]
        context.stay = stay = Stay(self._limits)
        try:
            await stay.measured(self._app(scope, receive, send))  # type: ignore[arg-type]
        finally:
            stay.leave()
            if context.at_end is not None:
                context.at_end()


class _BodyField(ModelField):
    """A body's model. The number of its faults is limited before they are listed."""

    def validate(
        self, value: Any, values: dict[str, Any] | None = None, *, loc: tuple[int | str, ...] = ()
    ) -> tuple[Any, list[dict[str, Any]]]:
        if isinstance(value, dict) and len(value) > _MOST_FIELDS:
            raise _too_faulty()
        try:
            return self._type_adapter.validate_python(value), []
        except ValidationError as error:
            if error.error_count() > _MOST_FAULTS:
                raise _too_faulty() from None
            return None, [{**fault, "loc": loc + fault["loc"]} for fault in error.errors(include_url=False)]


def _too_faulty() -> Problem:
    errors: Sequence[dict[str, str]] = [
        {"in": "body", "pointer": "#", "detail": f"More than {_MOST_FAULTS} fields do not fit, or are unknown."}
    ]
    return Problem("validation", "The request is not valid. See `errors`.", errors=errors)
