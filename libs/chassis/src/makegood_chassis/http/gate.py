"""What runs before each route, in this order: authentication and rights, limits, and the body.

A body is read only after its sender was admitted, except on routes without a token, which read at most 64 KiB. Of
these, webhooks check the signature before they parse anything.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from makegood_chassis.http import openapi
from makegood_chassis.http.answers import answer
from makegood_chassis.http.bodies import LIMIT, WEBHOOK_LIMIT, BodyRequest
from makegood_chassis.http.context import SCOPE_KEY, RequestContext
from makegood_chassis.http.inputs import inputs_of
from makegood_chassis.http.limits import Limits, Stay
from makegood_chassis.http.rights import ACCESS_KEY, Operation

WEBHOOKS: Final = "/v1/webhooks/"
ONE_CLICK: Final = "/v1/unsubscribe/"
"""Mail programs post a form there (RFC 8058). Only the address matters."""
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Handling:
    """A route's handler with what it takes from the request, as an ASGI application."""

    def __init__(self, route: APIRoute) -> None:
        self._inputs = inputs_of(route)
        self._handler = route.endpoint
        self._status = route.status_code or 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.respond(BodyRequest(scope, receive))
        await response(scope, receive, send)

    async def respond(self, request: BodyRequest) -> Response:
        """What the handler answers. A model becomes the content of a response."""
        result = await self._handler(**await self._inputs.of(request))
        return result if isinstance(result, Response) else answer(self._status, result)


class GuardedHandling(Handling):
    """The same behind the gate. It measures what a request costs, and returns its place at the end."""

    def __init__(self, route: APIRoute, limits: Limits, *, expensive: bool) -> None:
        super().__init__(route)
        self._limits = limits
        self._expensive = expensive
        self._operation = next(
            (call for call in openapi.dependencies(route.dependant) if isinstance(call, Operation)), None
        )
        self._takes_body = not (route.methods or set()) <= _BODYLESS
        self._any_body = route.path.startswith((WEBHOOKS, ONE_CLICK))
        self._parses = route.body_field is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context: RequestContext = scope[SCOPE_KEY]
        context.stay = stay = Stay(self._limits)
        try:
            await stay.measured(self._pass(scope, receive, send, context, stay))
        finally:
            stay.leave()
            if context.at_end is not None:
                context.at_end()

    async def _pass(self, scope: Scope, receive: Receive, send: Send, context: RequestContext, stay: Stay) -> None:
        request = BodyRequest(scope, receive)
        if self._operation is not None:
            scope[ACCESS_KEY] = await self._operation(request)
        if self._takes_body and self._operation is None:
            await request.read(limit=WEBHOOK_LIMIT)  # a slow anonymous body must not hold a place
        await stay.enter(self._person(context, scope), expensive=self._expensive)
        if self._takes_body:
            if self._operation is not None:
                await request.read(limit=LIMIT)
            if not self._any_body:
                request.check(parse=self._parses)
        response = await self.respond(request)
        if not isinstance(response, StreamingResponse):
            await response(scope, receive, send)
            return
        # Closed at once, even if it breaks off while a piece of it is sent. The garbage collector would take its time.
        async with aclosing(response.body_iterator):  # type: ignore[type-var]
            if self._expensive:
                response.body_iterator = stay.paced(response.body_iterator)
            else:
                stay.leave()  # it may last for hours, and has its own limits
            await response(scope, receive, send)

    def _person(self, context: RequestContext, scope: Scope) -> str | None:
        """The person whose limits apply: the caller. Expensive operations without a token are identified by the secret in
        the address.
        """
        if context.caller is not None:
            return context.caller.subject
        return str(scope["path"]) if self._expensive else None
