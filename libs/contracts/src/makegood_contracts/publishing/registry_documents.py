"""One JSON Schema for each topic, for a schema registry that checks compatibility across all versions in both directions.

A registry refuses what it cannot prove. So the documents say less than the data contracts: closed sets of values are strings,
texts have no longest length, and a field that is not described may be of any type.
"""

from __future__ import annotations

from typing import Any, Final

from makegood_contracts.publishing.tables import Column, Kind, columns_of, events_of
from makegood_contracts.topics import Topic

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""The latest one that registries understand."""

_FORMATS: Final = {"instant": "date-time", "date": "date"}
_ANY: Final = {"type": ["string", "number", "integer", "boolean", "object", "array", "null"]}
"""Whatever a later version adds was allowed before."""


def document_of(topic: Topic) -> dict[str, Any] | None:
    """The schema of the records' values. None for a topic without events of its own, such as dead letters."""
    columns = columns_of(topic)
    if not columns:
        return None
    return {
        "$schema": DIALECT,
        "title": topic.name,
        "description": f"{topic.about} The header ce_type says which event a record is.",
        **_object(columns),
        "x-key": topic.key,
        "x-events": [event.type for event in events_of(topic)],
    }


def _object(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {column.name: _property(column) for column in columns},
        "required": [column.name for column in columns if column.required],
        "additionalProperties": _ANY,
    }


def _property(column: Column) -> dict[str, Any]:
    schema = _schema(column.kind)
    kind = schema["type"] if column.required else [schema["type"], "null"]
    values = f" Now one of: {', '.join(column.kind.values)}." if column.kind.values else ""
    return {**schema, "type": kind, "description": column.meaning.text + values}


def _schema(kind: Kind) -> dict[str, Any]:
    if kind.items is not None:
        return {"type": "array", "items": _schema(kind.items)}
    if kind.fields:
        return _object(kind.fields)
    name = _FORMATS.get(kind.name)
    return {"type": "string", "format": name} if name else {"type": kind.name}
