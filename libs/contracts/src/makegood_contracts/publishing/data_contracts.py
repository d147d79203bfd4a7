"""A data contract for each topic, in the Open Data Contract Standard: https://bitol-io.github.io/open-data-contract-standard/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from makegood_contracts.envelope import schema_uri
from makegood_contracts.kafka_users import users
from makegood_contracts.publishing.asyncapi import HEADERS
from makegood_contracts.publishing.meanings import unit_of
from makegood_contracts.publishing.quality import rules_of
from makegood_contracts.publishing.tables import Column, Kind, columns_of, events_of
from makegood_contracts.topics import Topic

STANDARD: Final = "v3.1.0"
SERVER: Final = "development"
_DAY: Final = 24 * 60 * 60

_LOGICAL: Final = {"instant": "timestamp"}
_PHYSICAL: Final = {"integer": "long", "number": "double", "instant": "timestamp_tz"}
"""Physical types where the logical type leaves the width open."""

_USAGE: Final = (
    "Read the topic with a consumer group of your own, and handle each `ce_id` once. Fields and values are only ever added: "
    "ignore fields that you do not know."
)
_LIMITS: Final = (
    "Ids of people are pseudonyms. Names, addresses, remarks and message texts are on no topic. Use the data for the purposes "
    "that its people were told about; do not join it with other data to find out who they are. Fields classified as `health` "
    "show that somebody is in care: give them only to those who need them."
)
_KEPT: Final = "Kept. Nobody can tell any more whom the ids stand for, once the person's contact details are erased."
_ENDED: Final = "The record is replaced by one without a value. Delete the row whose key it has."
_EVENTS: Final = "One record for each event. Records with the same key are in order."
_STATES: Final = "One record for each key: the latest. A record without a value means that the entity is gone."
_LETTERS: Final = (
    "Any record that the service could not process, unchanged, with headers that say why. It has the fields of the topic that it "
    "comes from (`makegood_origin_topic`)."
)


def contract_of(topic: Topic) -> dict[str, Any]:
    """The contract as plain data."""
    columns = columns_of(topic)
    return {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": f"makegood.{topic.name}",
        "name": topic.name,
        "version": _version(topic, columns),
        "status": "active",
        "domain": topic.owner,
        "dataProduct": f"makegood-{topic.owner}",
        "tags": ["states" if topic.compacted else "events" if columns else "dead-letters"],
        "description": {"purpose": topic.about, "usage": _USAGE, "limitations": _LIMITS},
        "team": {"name": topic.owner, "description": f"Whoever runs the service {topic.owner} answers for this topic."},
        "roles": list(_roles(topic)),
        "support": [
            {
                "channel": f"makegood-{topic.owner}",
                "description": "Ask whoever runs the service. Incompatible changes come as a new topic or event, announced a "
                "release ahead.",
            }
        ],
        "servers": [
            {
                "server": SERVER,
                "type": "kafka",
                "host": "127.0.0.1:9092",
                "format": "json",
                "environment": "dev",
                "description": "A platform that `make demo` started. Elsewhere, put in the address of your brokers.",
            }
        ],
        "schema": [_table(topic, columns)],
        "slaProperties": _service_levels(topic),
        "customProperties": _properties(
            key=topic.key,
            partitions=topic.partitions,
            cleanupPolicy=topic.settings["cleanup.policy"],
            erasure=_ENDED if topic.compacted else _KEPT,
            compatibility="Backward and forward with every earlier release.",
            **({"headers": HEADERS} if columns else {}),
        ),
    }


def _version(topic: Topic, columns: tuple[Column, ...]) -> str:
    """Events, fields and values are only ever added, so their numbers tell which of two contracts is the later one."""
    parts = [part for column in columns for part in _within(column)]
    return f"1.{len(events_of(topic))}.{len(parts) + sum(len(part.kind.values) for part in parts)}"


def _within(column: Column) -> Iterator[Column]:
    yield column
    kind = column.kind.items or column.kind
    for part in kind.fields:
        yield from _within(part)


def _table(topic: Topic, columns: tuple[Column, ...]) -> dict[str, Any]:
    granularity = _STATES if topic.compacted else _EVENTS if columns else _LETTERS
    table: dict[str, Any] = {
        "name": table_name(topic),
        "physicalName": topic.name,
        "physicalType": "topic",
        "logicalType": "object",
        "description": topic.about,
        "dataGranularityDescription": granularity,
    }
    if not columns:
        return table
    return table | {
        "authoritativeDefinitions": [
            {"type": "jsonSchema", "url": schema_uri(event), "description": _first_sentence(event.__doc__)}
            for event in events_of(topic)
        ],
        "properties": [_property(column, topic, events=column.events) for column in columns],
        "quality": [
            {
                "name": rule.name,
                "description": rule.text,
                "dimension": "consistency",
                "type": "sql",
                "query": f"SELECT count(*) FROM {{object}} WHERE {rule.broken}",  # noqa: S608 - for a reader  # nosec B608
                "mustBe": 0,
            }
            for rule in rules_of(topic)
        ],
    }


def table_name(topic: Topic) -> str:
    """The topic's name as a table: `booking.sessions.v1` is `booking_sessions`."""
    return topic.name.rsplit(".", 1)[0].replace(".", "_").replace("-", "_")


def _property(column: Column, topic: Topic, events: tuple[str, ...] = ()) -> dict[str, Any]:
    meaning, kind = column.meaning, column.kind
    unit = unit_of(column.name, meaning) if kind.name in ("integer", "number", "array") else ""
    options: dict[str, Any] = {}
    if meaning.minimum is not None:
        options["minimum"] = meaning.minimum
    if meaning.pattern:
        options["pattern"] = meaning.pattern
    if kind.longest:
        options["maxLength"] = kind.longest
    made: dict[str, Any] = {"name": column.name, **_type(kind, topic), "description": meaning.text}
    if options:
        made["logicalTypeOptions"] = options
    if column.required:
        made["required"] = True
    made["classification"] = meaning.sensitivity
    if column.examples:
        made["examples"] = list(column.examples)
    if kind.values:
        made["quality"] = [_closed(kind)]
    if more := {**({"unit": unit} if unit else {}), **({"events": list(events)} if events else {})}:
        made["customProperties"] = _properties(**more)
    return made


def _type(kind: Kind, topic: Topic) -> dict[str, Any]:
    made: dict[str, Any] = {"logicalType": _LOGICAL.get(kind.name, kind.name)}
    if kind.name in _PHYSICAL:
        made["physicalType"] = _PHYSICAL[kind.name]
    if kind.fields:
        made["properties"] = [_property(column, topic) for column in kind.fields]
    if kind.items is not None:
        made["items"] = _type(kind.items, topic) | ({"quality": [_closed(kind.items)]} if kind.items.values else {})
    return made


def _closed(kind: Kind) -> dict[str, Any]:
    return {
        "description": "One of these values. A later release may add some.",
        "dimension": "conformity",
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": list(kind.values)},
        "mustBe": 0,
    }


def _service_levels(topic: Topic) -> list[dict[str, Any]]:
    seconds = topic.retention_seconds
    kept = "The latest record of each key is kept for good." if topic.compacted else "Records are kept for good."
    return [
        {
            "property": "freshness",
            "value": 60,
            "unit": "s",
            "driver": "operational",
            "description": "A record is on the topic within a second of its change. If one waits for more than a minute, operators are "
            "alerted.",
        },
        {
            "property": "retention",
            "value": "unlimited" if seconds is None else seconds // _DAY,
            "unit": "d",
            "driver": "analytics",
            "description": kept if seconds is None else "Older records are deleted.",
        },
        {"property": "frequency", "value": "continuous", "driver": "operational", "description": "With each change."},
    ]


def _roles(topic: Topic) -> Iterator[dict[str, Any]]:
    for user in users():
        if any(
            right.kind == "topic" and right.name == topic.name and right.operation == "Read" for right in user.rights
        ):
            yield {"role": user.name, "access": "read", "description": user.about}


def _properties(**values: Any) -> list[Mapping[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def _first_sentence(text: str | None) -> str:
    return (text or "").strip().split("\n\n")[0].replace("\n    ", " ")
