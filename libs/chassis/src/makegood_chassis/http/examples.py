"""Complete examples of the models in an OpenAPI document, because the framework leaves out members that are null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from fastapi.routing import APIRoute
from pydantic import BaseModel


def complete_examples(schemas: dict[str, Any], routes: Iterable[APIRoute]) -> None:
    """Puts the models' examples into their schemas. The example of a page contains that of its item."""
    models: dict[str, type[BaseModel]] = {}
    for route in routes:
        bodies = [parameter.field_info.annotation for parameter in route.dependant.body_params]
        answers = [response.get("model") for response in route.responses.values()]
        for annotation in (*bodies, route.response_model, *answers):
            _collect(annotation, models)
    for name, model in models.items():
        extra = model.model_config.get("json_schema_extra")
        examples = extra.get("examples") if isinstance(extra, dict) else None
        for each in (name, f"{name}-Input", f"{name}-Output"):
            if examples and each in schemas:
                schemas[each]["examples"] = examples
    for schema in schemas.values():
        _show_item(schemas, schema)


def _collect(annotation: Any, found: dict[str, type[BaseModel]]) -> None:
    for model in _models(annotation):
        if model.__name__ not in found:
            found[model.__name__] = model
            for field in model.model_fields.values():
                _collect(field.annotation, found)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _show_item(schemas: dict[str, Any], schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    item = schemas.get(str(properties.get("items", {}).get("items", {}).get("$ref", "")).rpartition("/")[2], {})
    if "next_cursor" in properties and item.get("examples"):
        schema["examples"] = [{"items": item["examples"][:1], "next_cursor": None}]
