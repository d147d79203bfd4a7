"""Each topic as one table: the fields of all its events side by side, for contracts and for the schema registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, cast

from msgspec import Struct, inspect
from msgspec.inspect import type_info

from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.publishing.meanings import Meaning, meaning_of
from makegood_contracts.topics import Topic

_EXAMPLES: Final = 2
_PLAIN: Final[Mapping[type[inspect.Type], str]] = {
    inspect.UUIDType: "string",
    inspect.DateTimeType: "instant",
    inspect.DateType: "date",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
}


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
        payload = golden_of(event)["payload"]
        for column in _columns(topic, event):
            found[column.name] = _merged(found.get(column.name), column, event.__name__, payload.get(column.name))
    complete = {
        name: column if len(column.events) == len(events) else _optional(column) for name, column in found.items()
    }
    return tuple(sorted(complete.values(), key=lambda column: column.name != topic.key))


def _columns(topic: Topic, struct: type[Struct]) -> tuple[Column, ...]:
    made = []
    for each in cast(inspect.StructType, type_info(struct)).fields:
        kind, nullable = _kind(topic, each.type)
        made.append(Column(each.encode_name, kind, each.required and not nullable, meaning_of(topic, each.name)))
    return tuple(made)


def _kind(topic: Topic, described: inspect.Type) -> tuple[Kind, bool]:
    """The type of a field, and whether it may be null."""
    match described:
        case inspect.Metadata(type=inner):
            return _kind(topic, inner)
        case inspect.UnionType(types=types):
            some = [each for each in types if not isinstance(each, inspect.NoneType)]
            if len(some) == 1:
                return _kind(topic, some[0])[0], True
        case inspect.LiteralType(values=values) if all(isinstance(value, str) for value in values):
            return Kind("string", tuple(map(str, values))), False
        case inspect.StrType(max_length=longest):
            return Kind("string", longest=longest), False
        case inspect.CollectionType(item_type=item):
            return Kind("array", items=_kind(topic, item)[0]), False
        case inspect.StructType(cls=struct):
            return Kind("object", fields=_columns(topic, struct)), False
    if name := _PLAIN.get(type(described)):
        return Kind(name), False
    raise TypeError(f"{topic.name}: no column for {described}")


def _merged(before: Column | None, column: Column, event: str, example: Any) -> Column:
    earlier = before or Column(column.name, column.kind, True, column.meaning)
    fits = example not in (None, [], *earlier.examples) and len(earlier.examples) < _EXAMPLES
    return Column(
        column.name,
        _both(earlier.kind, column.kind, f"{event}.{column.name}"),
        earlier.required and column.required,
        column.meaning,
        (*earlier.events, event),
        (*earlier.examples, example) if fits else earlier.examples,
    )


def _both(one: Kind, other: Kind, place: str) -> Kind:
    """The type that holds what either holds. Objects get the fields of both."""
    if one.name != other.name:
        raise TypeError(f"{place}: {other.name}, but {one.name} in other events of its topic")
    fields = {column.name: column for column in one.fields}
    for column in other.fields:
        had = fields.get(column.name)
        fields[column.name] = replace(
            column,
            kind=_both(had.kind, column.kind, f"{place}.{column.name}") if had else column.kind,
            required=bool(had and had.required and column.required),
        )
    alone = fields.keys() - {column.name for column in other.fields}
    return Kind(
        one.name,
        (*one.values, *(value for value in other.values if value not in one.values)),
        one.longest,
        _both(one.items, other.items, f"{place}[]") if one.items and other.items else one.items,
        tuple(_optional(column) if name in alone else column for name, column in fields.items()),
    )


def _optional(column: Column) -> Column:
    return replace(column, required=False)
