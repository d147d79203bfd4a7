"""Each topic as one table: the fields of all its events side by side, for contracts and for the schema registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.publishing.meanings import Meaning, meaning_of
from makegood_contracts.publishing.schemas import schema_of
from makegood_contracts.topics import Topic

_EXAMPLES: Final = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """A JSON type. `name`: string, instant, date, integer, number, boolean, object or array."""

    name: str
    values: tuple[str, ...] = ()
    """The closed set of values, if there is one. Values are added in later releases."""
    longest: int | None = None
    """The most characters of a string."""
    items: Kind | None = None
    fields: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a topic's events. `required`: every event of the topic has it, and it is never null."""

    name: str
    kind: Kind
    required: bool
    meaning: Meaning
    events: tuple[str, ...] = ()
    """The events that have it, by name."""
    examples: tuple[Any, ...] = field(default=(), hash=False)


def events_of(topic: Topic) -> list[type[Event]]:
    """The event types of a topic, by type."""
    return [kind for _, kind in sorted(EVENT_TYPES.items()) if kind.topic == topic]


@cache
def columns_of(topic: Topic) -> tuple[Column, ...]:
    """The columns of a topic, the key first. Raises TypeError if two events disagree about a field."""
    events = events_of(topic)
    found: dict[str, Column] = {}
    for event in events:
        schema = schema_of(event)
        payload = golden_of(event)["payload"]
        for column in _columns(topic, schema, schema.get("$defs", {})):
            found[column.name] = _merged(found.get(column.name), column, event.__name__, payload.get(column.name))
    complete = {
        name: column if len(column.events) == len(events) else _optional(column) for name, column in found.items()
    }
    return tuple(sorted(complete.values(), key=lambda column: column.name != topic.key))


def _columns(topic: Topic, schema: Mapping[str, Any], shared: Mapping[str, Any]) -> tuple[Column, ...]:
    required = schema.get("required", ())
    made = []
    for name, about in schema.get("properties", {}).items():
        kind, nullable = _kind(topic, about, shared)
        made.append(Column(name, kind, name in required and not nullable, meaning_of(topic, name)))
    return tuple(made)


def _kind(topic: Topic, schema: Mapping[str, Any], shared: Mapping[str, Any]) -> tuple[Kind, bool]:
    """The type of a field, and whether it may be null."""
    if "$ref" in schema:
        return _kind(topic, shared[schema["$ref"].rsplit("/", 1)[-1]], shared)
    if "anyOf" in schema:
        some = [part for part in schema["anyOf"] if part.get("type") != "null"]
        if len(some) != 1:
            raise TypeError(f"{topic.name}: a field has several types; a table has no column for it")
        return _kind(topic, some[0], shared)[0], len(some) < len(schema["anyOf"])
    if "enum" in schema:
        words = tuple(value for value in schema["enum"] if value is not None)
        return Kind("string", words), None in schema["enum"]
    match schema.get("type"):
        case "string":
            name = {"date-time": "instant", "date": "date"}.get(schema.get("format", ""), "string")
            return Kind(name, longest=schema.get("maxLength")), False
        case "array":
            return Kind("array", items=_kind(topic, schema["items"], shared)[0]), False
        case "object":
            return Kind("object", fields=_columns(topic, schema, shared)), False
        case "integer" | "number" | "boolean" as plain:
            return Kind(plain), False
    raise TypeError(f"{topic.name}: no column for {schema}")


def _merged(before: Column | None, column: Column, event: str, example: Any) -> Column:
    earlier = before or Column(column.name, column.kind, True, column.meaning)
    one, other = earlier.kind, column.kind
    if (one.name, one.items and one.items.name) != (other.name, other.items and other.items.name):
        raise TypeError(f"{event}.{column.name}: {other.name}, but {one.name} in other events of its topic")
    values = (*one.values, *(value for value in other.values if value not in one.values))
    fits = example not in (None, [], *earlier.examples) and len(earlier.examples) < _EXAMPLES
    return Column(
        column.name,
        Kind(one.name, values, one.longest, one.items, one.fields),
        earlier.required and column.required,
        column.meaning,
        (*earlier.events, event),
        (*earlier.examples, example) if fits else earlier.examples,
    )


def _optional(column: Column) -> Column:
    return Column(column.name, column.kind, False, column.meaning, column.events, column.examples)
