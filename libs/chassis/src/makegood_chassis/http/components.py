"""Names for what an OpenAPI document repeats: enums, problems with their examples, headers and parameters.

A named enum is one type in a generated client. An inline enum becomes a separate type in each place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from makegood_contracts.events import AccessOutcome, AccessReason

from makegood_chassis.http.problems import MEDIA_TYPE

ENUMS: Final[Mapping[str, Any]] = {"AccessOutcome": AccessOutcome, "AccessReason": AccessReason}
"""The enums of every service, by component name. Each service passes its own to `create_app`."""

_BESIDE: Final = frozenset({"description", "default", "examples", "deprecated"})
"""The keys of an enum that belong to the place where it is used."""


def name_pages(document: dict[str, Any]) -> None:
    """Names generic models by their class: `SessionPage` instead of `Page_SessionView_`."""
    schemas = document["components"]["schemas"]
    renamed = {name: schema["title"] for name, schema in schemas.items() if not name.isalnum()}
    for old, new in renamed.items():
        schemas[new] = schemas.pop(old)
    for each in _objects(document):
        name = renamed.get(str(each.get("$ref", "")).removeprefix("#/components/schemas/"))
        if name is not None:
            each["$ref"] = f"#/components/schemas/{name}"


def name_enums(document: dict[str, Any], enums: Mapping[str, Any]) -> None:
    """Makes a component of each enum in `enums` (name → `Literal[…]`). The others stay inline."""
    names = {_key(get_args(literal)): name for name, literal in enums.items()}
    schemas = document["components"]["schemas"]
    for owner in list(_objects(document)):
        name = names.get(_key(owner["enum"])) if isinstance(owner.get("enum"), list) else None
        if name is None:
            continue
        schemas[name] = {"title": name, "type": _type(owner["enum"]), "enum": list(owner["enum"])}
        kept = {key: value for key, value in owner.items() if key in _BESIDE}
        owner.clear()
        owner.update({"$ref": f"#/components/schemas/{name}", **kept})


def _key(values: Any) -> tuple[Any, ...]:
    return tuple(values)


def _type(values: list[Any]) -> str:
    return "integer" if all(isinstance(value, int) for value in values) else "string"


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, except within examples."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in ("example", "examples"):
                yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def share(document: dict[str, Any]) -> None:
    """Moves what many operations share into components: headers, examples, and complete problem answers."""
    components = document["components"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                _refer(answer.get("headers", {}), "headers", components)
                for content in answer.get("content", {}).values():
                    _refer(content.get("examples", {}), "examples", components)
            operation["responses"] = {
                status: _answer(status, answer, components) for status, answer in operation["responses"].items()
            }
            if "parameters" in operation:
                operation["parameters"] = [_parameter(each, components) for each in operation["parameters"]]


def _refer(entries: dict[str, Any], kind: str, components: dict[str, Any]) -> None:
    shared = components.setdefault(kind, {})
    for name, entry in entries.items():
        if shared.setdefault(name, entry) == entry:
            entries[name] = {"$ref": f"#/components/{kind}/{name}"}


def _parameter(parameter: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    if parameter.get("in") != "header":
        return parameter
    shared = components.setdefault("parameters", {})
    name = parameter["name"] if parameter.get("required") else f"Optional-{parameter['name']}"
    known = shared.setdefault(name, parameter)
    return {"$ref": f"#/components/parameters/{name}"} if known == parameter else parameter


def _answer(status: str, answer: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    slugs = answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples")
    if slugs is None:
        return answer
    name = "-".join((status, *slugs))
    shared = components.setdefault("responses", {})
    return {"$ref": f"#/components/responses/{name}"} if shared.setdefault(name, answer) == answer else answer


def resolved(operation: Any, document: Mapping[str, Any]) -> Any:
    """A copy of an operation (or any part of one) in which references are replaced by their content, except for
    schemas.
    """
    if isinstance(operation, list):
        return [resolved(each, document) for each in operation]
    if not isinstance(operation, dict):
        return operation
    target = str(operation.get("$ref", ""))
    if target and not target.startswith("#/components/schemas/"):
        kind, name = target.split("/")[2:]
        return resolved(document["components"][kind][name], document)
    return {key: resolved(value, document) for key, value in operation.items()}
