"""CloudEvents 1.0 in the Kafka binary mode: attributes in `ce_…` record headers, the payload as JSON in the value.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Generic, TypeVar

import msgspec

from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.ids import new_id

E_co = TypeVar("E_co", bound=Event, covariant=True)

CONTENT_TYPE = "application/json"
EXAMPLE_BASE_URL: Final = "https://api.example.org"
"""Stands in the published contracts for the address of the gateway, which every installation has its own."""

_encoder = msgspec.json.Encoder()


class MalformedEvent(ValueError):
    """A record that is no event of these contracts: headers missing, a type nobody knows, a payload that does not fit."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to an event: passed on from request to event to event.

    `correlation_id` is the id of the first request or deadline of the story, `causation_id` of the direct cause.
    """

    correlation_id: str
    causation_id: str
    traceparent: str | None = None

    @classmethod
    def begin(cls) -> Cause:
        """The beginning of a story that no request led to, with a trace of its own."""
        story = new_id()
        return cls(story, story, new_traceparent())


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event with its attributes, as a consumer sees it."""

    event: E_co
    id: str
    key: str
    sequence: int
    time: datetime
    correlation_id: str
    causation_id: str
    traceparent: str | None = None
    redrive: int = 0
    """How often it was put back from dead letters."""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cause(self) -> Cause:
        """The cause of whatever this event leads to."""
        return Cause(self.correlation_id, self.id, self.traceparent)


@dataclass(frozen=True, slots=True)
class Record:
    """An event ready for its topic."""

    topic: str
    key: str
    headers: list[tuple[str, str]]
    value: bytes

    @property
    def id(self) -> str:
        return dict(self.headers)["ce_id"]


def new_traceparent() -> str:
    """A W3C trace parent that begins a trace: https://www.w3.org/TR/trace-context/#traceparent-header."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-01"


@cache
def schema_uri(event: type[Event], base_url: str = EXAMPLE_BASE_URL) -> str:
    """The absolute address of the JSON Schema of the event's payload. `base_url`: the gateway that serves it, without a slash at
    the end."""
    return f"{base_url}/schemas/{event.type}.json"


@cache
def _schema_path(event: type[Event]) -> str:
    return schema_uri(event, "")


def names_schema_of(event: type[Event], uri: str) -> bool:
    """Whether this is the address of the event's schema at any gateway: an installation's own address can change while its events
    stay."""
    return uri.endswith(_schema_path(event))


@cache
def _decoder(event: type[Event]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event)


def encode(
    event: Event,
    *,
    sequence: int,
    cause: Cause,
    event_id: str | None = None,
    time: datetime | None = None,
    base_url: str = EXAMPLE_BASE_URL,
) -> Record:
    """The record for `event`. `sequence` is the entity's own count; `time` defaults to the moment of encoding (real time).
    `base_url`: the gateway that serves the schemas."""
    kind = type(event)
    moment = (time or datetime.now(UTC)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", event_id or new_id()),
        ("ce_source", f"/makegood/{kind.topic.owner}"),
        ("ce_type", kind.type),
        ("ce_subject", event.key),
        ("ce_time", moment),
        ("ce_dataschema", schema_uri(kind, base_url)),
        ("ce_correlationid", cause.correlation_id),
        ("ce_causationid", cause.causation_id),
        ("ce_sequence", str(sequence)),
        ("ce_dataclassification", kind.classification),
        ("content-type", CONTENT_TYPE),
    ]
    if cause.traceparent:
        headers.append(("traceparent", cause.traceparent))
    return Record(kind.topic.name, event.key, headers, _encoder.encode(event))


def event_type(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The CloudEvents type of a record, without decoding the rest. Kafka allows headers without a value."""
    for name, value in headers:
        if name == "ce_type":
            return None if value is None else value.decode(errors="replace")
    return None


def decode(key: bytes | None, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Received[Event]:
    """The event in a Kafka record. Raises MalformedEvent for anything that these contracts do not know."""
    try:
        attributes = {}
        for name, raw in headers:
            if raw is None:
                raise ValueError("a header has no value")
            attributes[name] = raw.decode()
        kind = EVENT_TYPES[attributes["ce_type"]]
        moment = datetime.fromisoformat(attributes["ce_time"])
        if moment.tzinfo is None:
            raise ValueError("ce_time has no offset")
        return Received(
            event=_decoder(kind).decode(value or b""),
            id=attributes["ce_id"],
            key=(key or b"").decode(),
            sequence=int(attributes["ce_sequence"]),
            time=moment,
            correlation_id=attributes["ce_correlationid"],
            causation_id=attributes["ce_causationid"],
            traceparent=attributes.get("traceparent"),
            redrive=int(attributes.get("makegood_redrive", "0")),
            headers=attributes,
        )
    except KeyError as missing:
        raise MalformedEvent(f"not an event of these contracts: {missing} is missing or unknown") from missing
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise MalformedEvent(f"not an event of these contracts: {error}") from error
