"""OpenAPI 3.1 of a service: what FastAPI generates, and what the chassis adds to every route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_origin

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from makegood_chassis.access.reasons import PARAMETER
from makegood_chassis.http.components import ENUMS, name_enums, name_pages, share
from makegood_chassis.http.described import (
    LOCATION,
    answer_headers,
    malformed,
    problems,
    request_headers,
)
from makegood_chassis.http.examples import complete_examples
from makegood_chassis.http.mutations import MutationDependency
from makegood_chassis.http.problem_models import FieldPlace, problem_schemas
from makegood_chassis.http.rights import Denial, Operation, Rights, asks_why
from makegood_chassis.http.tags import TAGS

__all__ = ["LOCATION", "document", "problems"]

_EVERY: Final = ("unavailable", "deadline-exceeded", "rate-limited")
_SIGNED_IN: Final = ("unauthenticated", "forbidden")
_CHANGE: Final = (
    "idempotency-key-reused",
    "idempotency-in-flight",
    "payload-too-large",
    "unsupported-media-type",
)
_VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "honoured": ("version-mismatch",),
    "required": ("version-mismatch", "version-required"),
}


def dependencies(dependant: Dependant) -> Iterator[Any]:
    """The callables that a route depends on, at any depth."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from dependencies(inner)


def route_change(route: APIRoute) -> MutationDependency | None:
    return next((call for call in dependencies(route.dependant) if isinstance(call, MutationDependency)), None)


def route_operations(route: APIRoute) -> list[str]:
    """The operations in the table of rights that the route requires."""
    return [call.name for call in dependencies(route.dependant) if isinstance(call, Operation)]


def query_parameters(dependant: Dependant) -> dict[str, bool]:
    """Names of the query parameters that a route takes, at any depth, and whether each can be repeated."""
    found = {parameter.alias: _is_list(parameter.field_info.annotation) for parameter in dependant.query_params}
    for inner in dependant.dependencies:
        found |= query_parameters(inner)
    return found


def _is_list(annotation: Any) -> bool:
    return any(get_origin(part) is list for part in (annotation, *get_args(annotation)))


def answer_model(route: APIRoute, status: int) -> Any:
    """The model of a route's answer with this status. None if it has none."""
    model = route.responses.get(status, {}).get("model")
    return route.response_model if model is None and status == (route.status_code or 200) else model


def operation_id(route: APIRoute) -> str:
    """The operation's name in generated clients: the handler's name, such as `bookSession` for `book_session`."""
    first, *others = (route.operation_id or route.name).split("_")
    return first + "".join(word.capitalize() for word in others)


def document(app: FastAPI) -> dict[str, Any]:
    """The document, which is made once."""
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        contact={"name": "Makegood"},
        routes=app.routes,
        servers=[{"url": "/", "description": "The gateway."}],
    )
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(problem_schemas())
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "RS256 or ES256, `aud: makegood`, `roles`: any of member, provider, support, ops.",
        }
    }
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    for route in routes:
        for method in route.methods or ():
            _complete(schema["paths"][route.path_format][method.lower()], route, app.state.rights)
    used = {tag for route in routes for tag in route.tags}
    schema["tags"] = [{"name": tag, "description": about} for tag, about in TAGS.items() if tag in used]
    name_pages(schema)
    complete_examples(schemas, routes)
    name_enums(schema, {**ENUMS, "FieldPlace": FieldPlace, **app.state.enums})
    share(schema)
    return schema


def _complete(operation: dict[str, Any], route: APIRoute, rights: Rights) -> None:
    mutation = route_change(route)
    operation["operationId"] = operation_id(route)
    operation["summary"] = route.summary or (route.operation_id or route.name).replace("_", " ").capitalize()
    operation["security"] = []  # callers authenticate in another way; changed below if a token is needed
    slugs = list(_EVERY)
    for name in route_operations(route):
        operation["security"] = [{"token": []}]
        slugs += [*_SIGNED_IN, *(entry.slug for entry in rights[name] if isinstance(entry, Denial))]
        if asks_why(rights[name]):
            slugs.append("access-reason-required")
            operation.setdefault("parameters", []).append(PARAMETER)
    if route.dependant.path_params:
        slugs.append("not-found")
    if mutation is not None:
        slugs += [*_CHANGE, *_VERSIONS[mutation.if_match]]
        operation.setdefault("parameters", []).extend(request_headers(mutation))
    if mutation is not None and mutation.key_required:
        slugs.append("idempotency-key-required")
    answered: dict[str, Any] = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(answered.get("422")):
        del answered["422"]
    for status, response in problems("validation", *slugs).items():
        _add(answered, str(status), response)
    if route.dependant.body_params or mutation is not None:
        _add(answered, "400", malformed())
    for status, response in answered.items():
        _describe_stream(response)
        has_etag = bool(getattr(answer_model(route, int(status)), "has_etag", False))
        headers = answer_headers(status, mutation, has_etag=has_etag)
        response["headers"] = {**headers, **response.get("headers", {})}


def _describe_stream(response: dict[str, Any]) -> None:
    """Describes a stream by the schema of its events, because it is not JSON as a whole."""
    stream = response.get("content", {}).get("text/event-stream", {})
    if "$ref" in stream.get("schema", {}):
        event = {"$ref": stream["schema"]["$ref"]}
        stream["schema"] = {"type": "string", "contentMediaType": "text/event-stream", "contentSchema": event}


def _add(answered: dict[str, Any], status: str, response: Mapping[str, Any]) -> None:
    present = answered.get(status)
    if present is None:
        answered[status] = dict(response)
        return
    content = present.setdefault("content", {})
    for media_type, added in response["content"].items():
        examples = {**added["examples"], **content.get(media_type, {}).get("examples", {})}
        content[media_type] = {**added, **content.get(media_type, {}), "examples": examples}
    known = present.get("description", "")
    news = [part for part in response["description"].split("; ") if part not in known]
    present["description"] = "; ".join(part for part in (known, *news) if part)
