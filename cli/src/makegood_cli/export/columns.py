"""The columns of each topic's table, from the contracts: first the envelope's, then the payload's."""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

import pyarrow as pa
from makegood_contracts.events import Event
from makegood_contracts.publishing import tables
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

_PLAIN: Final = {
    "string": pa.string(),
    "instant": INSTANT,
    "date": pa.date32(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


@cache
def schema_of(topic: Topic) -> pa.Schema:
    """The table's columns. A field that several event types share is one column; it is null in events without it.

    Raises TypeError if no column can hold a field.
    """
    payload = pa.schema([(column.name, _type(column.kind)) for column in tables.columns_of(topic)])
    if taken := {*payload.names} & {*ENVELOPE.names}:
        raise TypeError(f"{topic.name} has fields with names of the envelope: {sorted(taken)}")
    return pa.schema([*ENVELOPE, *payload])


def is_nested(kept: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kept))


def _type(kind: tables.Kind) -> pa.DataType:
    if kind.items is not None:
        return pa.list_(_type(kind.items))
    if kind.fields:
        return pa.struct([(column.name, _type(column.kind)) for column in kind.fields])
    return _PLAIN[kind.name]
