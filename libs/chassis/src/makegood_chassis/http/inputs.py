"""What a route takes from its request, read from its declaration once, when the app is made.

FastAPI's declarations stay the one source of the OpenAPI document and of what is valid. But FastAPI interprets them anew at each
request, with exit stacks, caches and contexts that nothing here needs, which takes longer than the handler itself. Here a request
costs one call for each dependency and one validation for each parameter that is not plain text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final, cast, get_args, get_origin

from fastapi import params
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from makegood_chassis.http.bodies import BodyRequest
from makegood_chassis.http.problems import MOST_ERRORS, Problem

_MOST_FIELDS: Final = 200
"""Maximum members of a body's object. No valid request has a tenth of them."""
_MOST_FAULTS: Final = 4 * MOST_ERRORS
"""If there are more faults than this, they are not listed one by one, because that costs more than finding them."""

Faults = list[dict[str, Any]]


class Inputs:
    """The arguments of one function that depends on the request: a route's handler, or a dependency of it.

    Raises ValueError for a declaration that it does not know how to follow.
    """

    __slots__ = ("_body", "_dependencies", "_headers", "_path", "_query", "_request_name", "_without_query")

    def __init__(self, dependant: Dependant) -> None:
        if unknown := list(_unknown(dependant)):
            raise ValueError(f"{dependant.call} takes {', '.join(unknown)}, which no route here does")
        self._dependencies = [_Dependency(inner) for inner in dependant.dependencies]
        self._path = [_Parameter(field, "path") for field in dependant.path_params]
        self._query = [_Parameter(field, "query") for field in dependant.query_params]
        shared = all(parameter.can_be_shared for parameter in self._query)
        self._without_query = {parameter.name: parameter.default for parameter in self._query} if shared else None
        """Their values if the address has no query, as most have none."""
        self._headers = [_Parameter(field, "header") for field in dependant.header_params]
        self._body = _Body(dependant.body_params[0]) if dependant.body_params else None
        self._request_name = dependant.request_param_name

    @property
    def only_request(self) -> str | None:
        """The name of the request, if that is all that the function takes."""
        return (
            None
            if self._dependencies or self._path or self._query or self._headers or self._body
            else self._request_name
        )

    async def of(self, request: BodyRequest) -> dict[str, Any]:
        """The arguments. Raises RequestValidationError with all that is wrong with the request."""
        faults: Faults = []
        values = await self.collect(request, faults)
        if faults:
            raise RequestValidationError(faults)
        return values

    async def collect(self, request: BodyRequest, faults: Faults) -> dict[str, Any]:
        """The arguments that are right. What is wrong with the others is added to `faults`."""
        values: dict[str, Any] = {}
        for dependency in self._dependencies:
            values[dependency.name] = await dependency.value(request, faults)
        for parameter in self._path:
            parameter.take(request.path_params, values, faults)
        if self._without_query is not None and not request.scope["query_string"]:
            values.update(self._without_query)
        elif self._query:
            query = request.query_params
            for parameter in self._query:
                parameter.take(query, values, faults)
        for parameter in self._headers:
            parameter.take(request.headers, values, faults)
        if self._body is not None:
            self._body.take(request, values, faults)
        if self._request_name is not None:
            values[self._request_name] = request
        return values


def inputs_of(route: APIRoute) -> Inputs:
    """What the route's handler takes."""
    if not _is_async(route.endpoint):
        raise ValueError(f"{route.path}: {route.endpoint} takes a thread, which no route here does")
    try:
        return Inputs(route.dependant)
    except ValueError as error:
        raise ValueError(f"{route.path}: {error}") from None


def _unknown(dependant: Dependant) -> Iterator[str]:
    if dependant.cookie_params:
        yield "cookies"
    if len(dependant.body_params) > 1 or any(
        isinstance(field.field_info, params.Form) for field in dependant.body_params
    ):
        yield "a body of several parts"
    special = (
        dependant.websocket_param_name,
        dependant.http_connection_param_name,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
    )
    yield from (name for name in special if name is not None)
    for inner in dependant.dependencies:
        if inner.name is None:
            yield f"a result of {inner.call} without a parameter for it"
        if inner.body_params:
            yield f"a body through {inner.name}"
        if not (inspect.isclass(inner.call) or _is_async(inner.call)):
            yield f"{inner.name} from a function that is not async"


def _is_async(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


class _Dependency:
    """A value that a function makes from the request. It is made again for each place that depends on it."""

    __slots__ = ("_call", "_inputs", "_is_class", "_only_request", "name")

    def __init__(self, dependant: Dependant) -> None:
        self.name = cast("str", dependant.name)
        self._call = cast("Callable[..., Any]", dependant.call)
        self._is_class = inspect.isclass(dependant.call)
        self._inputs = Inputs(dependant)
        self._only_request = self._inputs.only_request is not None and not self._is_class

    async def value(self, request: BodyRequest, faults: Faults) -> Any:
        """None if something is wrong with what it is made from."""
        if self._only_request:
            return await self._call(request)
        before = len(faults)
        values = await self._inputs.collect(request, faults)
        if len(faults) > before:
            return None
        return self._call(**values) if self._is_class else await self._call(**values)


class _Parameter:
    """A parameter in the path, the query or the headers."""

    __slots__ = ("_alias", "_field", "_is_list", "_is_text", "_place", "_required", "can_be_shared", "default", "name")

    def __init__(self, field: ModelField, where: str) -> None:
        info = field.field_info
        annotations = (info.annotation, *get_args(info.annotation))
        if any(inspect.isclass(part) and issubclass(part, BaseModel) for part in annotations):
            raise ValueError(f"takes {field.name} as a model of parameters, which no route here does")
        own_name = field.alias == field.name
        self._alias = field.name.replace("_", "-") if where == "header" and own_name else field.alias
        self._field = field
        self.name = field.name
        self._place = (where, self._alias)
        self._is_list = any(get_origin(part) is list for part in annotations)
        self._is_text = info.annotation is str and not info.metadata
        self._required = info.is_required()
        self.default = None if self._required else field.get_default()
        self.can_be_shared = not self._required and isinstance(self.default, Hashable)
        """Whether requests that do not send it can have the same default, because it cannot be changed."""

    def take(self, sent: Mapping[str, Any], values: dict[str, Any], faults: Faults) -> None:
        """Puts its value among the others, or what is wrong with it among the faults."""
        found: Any = sent.getlist(self._alias) if self._is_list else sent.get(self._alias)  # type: ignore[attr-defined]
        name = self.name
        if found is None or found == []:
            if self._required:
                faults.append(_missing(self._place))
            else:
                values[name] = self.default if self.can_be_shared else copy(self.default)
        elif self._is_text:
            values[name] = found
        else:
            values[name], wrong = self._field.validate(found, values, loc=self._place)
            faults += wrong


class _Body:
    """A body in JSON. The number of its faults is limited before they are listed."""

    __slots__ = ("_default", "_name", "_required", "_validate")

    def __init__(self, field: ModelField) -> None:
        self._name = field.name
        self._validate = field._type_adapter.validate_python
        self._required = field.field_info.is_required()
        self._default = None if self._required else field.get_default()

    def take(self, request: BodyRequest, values: dict[str, Any], faults: Faults) -> None:
        """As a parameter."""
        if not request.content:
            if self._required:
                faults.append(_missing(("body",)))
            else:
                values[self._name] = copy(self._default)
            return
        if isinstance(request.parsed, dict) and len(request.parsed) > _MOST_FIELDS:
            raise _too_faulty()
        try:
            values[self._name] = self._validate(request.parsed)
        except ValidationError as error:
            if error.error_count() > _MOST_FAULTS:
                raise _too_faulty() from None
            faults += ({**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False))


def _missing(place: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "missing", "loc": place, "msg": "Field required", "input": None}


def _too_faulty() -> Problem:
    errors: Sequence[dict[str, str]] = [
        {"in": "body", "pointer": "#", "detail": f"More than {_MOST_FAULTS} fields do not fit, or are unknown."}
    ]
    return Problem("validation", "The request is not valid. See `errors`.", errors=errors)
