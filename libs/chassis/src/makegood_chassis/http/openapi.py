"""OpenAPI 3.1 of a service: what FastAPI finds, and what the chassis does for every route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from makegood_contracts.problems import PROBLEMS

from makegood_chassis.http.changes import Changes
from makegood_chassis.http.problems import MEDIA_TYPE
from makegood_chassis.http.rights import Operation

_EVERY: Final = ("unavailable", "deadline-exceeded", "rate-limited")
_SIGNED_IN: Final = ("unauthenticated", "forbidden")
_CHANGE: Final = (
    "idempotency-key-reused",
    "idempotency-in-flight",
    "version-mismatch",
    "version-required",
    "payload-too-large",
    "unsupported-media-type",
)
_PROBLEM_SCHEMA: Final = {
    "title": "Problem",
    "description": "An error in the shape of RFC 9457. Each `type` is a page that says what happened and what to do.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "description": "With `validation`: the fields that do not fit, each by a JSON pointer.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "detail"],
                "properties": {
                    "in": {"enum": ["body", "query", "path", "header", "cookie"]},
                    "pointer": {"type": "string", "examples": ["#/weekly/0/day"]},
                    "detail": {"type": "string"},
                },
            },
        },
        "reasons": {
            "description": "Where rules forbid it: every reason that applies.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}


def dependencies(dependant: Dependant) -> Iterator[Any]:
    """The callables that a route depends on, at any depth."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from dependencies(inner)


def route_change(route: APIRoute) -> Changes | None:
    return next((call for call in dependencies(route.dependant) if isinstance(call, Changes)), None)


def route_operations(route: APIRoute) -> list[str]:
    """Names of the operations in the table of rights that the route asks for."""
    return [call.name for call in dependencies(route.dependant) if isinstance(call, Operation)]


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the problems that it can answer, by status."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        problem = PROBLEMS[slug]
        entry = found.setdefault(problem.status, {"description": "", "content": _content()})
        entry["description"] += f"{'; ' if entry['description'] else ''}`{slug}`: {problem.title}"
    return found


def _content() -> dict[str, Any]:
    return {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=[{"url": "/"}]
    )
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM_SCHEMA
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "RS256 or ES256, `aud: makegood`, `roles` out of member, provider, support, ops.",
        }
    }
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(schema["paths"][route.path_format][method.lower()], route, method)
    return schema


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    change = route_change(route)
    slugs = list(_EVERY)
    if route_operations(route):
        operation["security"] = [{"token": []}]
        slugs += _SIGNED_IN
    if route.dependant.path_params:
        slugs.append("not-found")
    if change is not None:
        slugs += _CHANGE
        operation.setdefault("parameters", []).extend(_change_headers(change))
    if change is not None and change.key_required:
        slugs.append("idempotency-key-required")
    answered: dict[str, Any] = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(answered.get("422")):
        del answered["422"]
    for status, response in problems("validation", *slugs).items():
        _add(answered, str(status), response)
    if route.dependant.body_params or change is not None:
        _add(answered, "400", {"description": "`validation`: the body is no JSON", "content": _content()})
    for status, response in answered.items():
        if status.startswith("2"):
            _answer_headers(response, method)


def _add(answered: dict[str, Any], status: str, response: Mapping[str, Any]) -> None:
    present = answered.get(status)
    if present is None:
        answered[status] = dict(response)
        return
    present["content"] = {**response["content"], **present.get("content", {})}
    present["description"] = f"{present.get('description', '')}; {response['description']}".removeprefix("; ")


def _answer_headers(response: dict[str, Any], method: str) -> None:
    headers = response.setdefault("headers", {})
    headers.setdefault("X-Request-Id", {"description": "The request's id in logs.", "schema": {"type": "string"}})
    if method != "GET":
        headers.setdefault(
            "Idempotent-Replayed",
            {"description": "`true` where this is the first answer to a repeated key.", "schema": {"type": "string"}},
        )


def _change_headers(change: Changes) -> list[dict[str, Any]]:
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": change.key_required,
            "description": "A fresh random value for each new intent; the same one when it is repeated.",
            "schema": _TEXT,
        },
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "The ETag of the version to change.",
            "schema": {"type": "string", "pattern": r'^(\*|"[0-9]+")$', "examples": ['"3"']},
        },
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "`wait=N` waits up to N seconds for the outcome where it comes later.",
            "schema": {"type": "string", "pattern": "^wait=[0-9]{1,4}$", "examples": ["wait=10"]},
        },
    ]
