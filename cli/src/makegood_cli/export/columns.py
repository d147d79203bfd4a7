"""The columns of each topic's table, from the contracts: first the envelope's, then the payload's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec
import pyarrow as pa
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.topics import Topic

Kind: TypeAlias = type[Event]

INSTANT: Final = pa.timestamp("us", tz="UTC")
ATTRIBUTES: Final = ("id", "source", "subject", "correlationid", "causationid", "dataschema", "dataclassification")
"""Attributes that are text, in CloudEvents' names. A column has the name of the header, such as `ce_id`."""

ENVELOPE: Final = pa.schema(
    [
        ("ce_id", pa.string()),
        ("ce_type", pa.string()),
        ("fact", pa.string()),
        ("ce_subject", pa.string()),
        ("ce_sequence", pa.int64()),
        ("ce_time", INSTANT),
        ("ce_source", pa.string()),
        ("ce_correlationid", pa.string()),
        ("ce_causationid", pa.string()),
        ("ce_dataschema", pa.string()),
        ("ce_dataclassification", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("kafka_timestamp", INSTANT),
    ]
)
"""`fact` is the event's short name, such as `ProviderMissed`. Partition and offset together are unique in a topic."""

_PLAIN: Final[Mapping[type[Any], pa.DataType]] = {
    msgspec.inspect.StrType: pa.string(),
    msgspec.inspect.LiteralType: pa.string(),
    msgspec.inspect.UUIDType: pa.string(),
    msgspec.inspect.IntType: pa.int64(),
    msgspec.inspect.FloatType: pa.float64(),
    msgspec.inspect.BoolType: pa.bool_(),
    msgspec.inspect.DateTimeType: INSTANT,
    msgspec.inspect.DateType: pa.date32(),
    msgspec.inspect.DecimalType: pa.decimal128(38, 9),
}


class NoColumn(TypeError):
    """A field of a contract that no column can hold. `columns` has to learn its type."""


def kinds_of(topic: Topic) -> list[Kind]:
    """The event types of a topic, by name."""
    return sorted((kind for kind in EVENT_TYPES.values() if kind.topic == topic), key=lambda kind: kind.type)


@cache
def schema_of(topic: Topic) -> pa.Schema:
    """The table's columns. A field that several event types share is one column; it is null in events without it."""
    found: dict[str, pa.DataType] = {}
    for kind in kinds_of(topic):
        for name, kept in _fields(kind):
            found[name] = merged(found[name], kept) if name in found else kept
    if taken := found.keys() & set(ENVELOPE.names):
        raise NoColumn(f"{topic.name} has fields with names of the envelope: {sorted(taken)}")
    return pa.schema([*ENVELOPE, *(pa.field(name, kept) for name, kept in found.items())])


def merged(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds both. Structs get the fields of both. Raises NoColumn if there is none."""
    if one == other:
        return one
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            fields[field.name] = merged(fields[field.name], field.type) if field.name in fields else field.type
        return pa.struct(list(fields.items()))
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(merged(one.value_type, other.value_type))
    raise NoColumn(f"no column holds both {one} and {other}")


def is_nested(kept: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kept))


def _fields(kind: Kind) -> Iterator[tuple[str, pa.DataType]]:
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType)
    for field in described.fields:
        yield field.name, _column(field.type, f"{kind.type}.{field.name}")


def _column(described: msgspec.inspect.Type, place: str) -> pa.DataType:
    match described:
        case msgspec.inspect.UnionType(types=types):
            some = [each for each in types if not isinstance(each, msgspec.inspect.NoneType)]
            found = _column(some[0], place)
            for each in some[1:]:
                found = merged(found, _column(each, place))
            return found
        case msgspec.inspect.LiteralType(values=values) if all(isinstance(value, int) for value in values):
            return pa.int64()
        case msgspec.inspect.CollectionType(item_type=item):
            return pa.list_(_column(item, place))
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return pa.map_(_column(key, place), _column(value, place))
        case msgspec.inspect.StructType(fields=fields):
            return pa.struct([(field.name, _column(field.type, f"{place}.{field.name}")) for field in fields])
        case msgspec.inspect.Metadata(type=inner):
            return _column(inner, place)
    try:
        return _PLAIN[type(described)]
    except KeyError:
        raise NoColumn(f"{place} is a {type(described).__name__}, for which there is no column yet") from None
