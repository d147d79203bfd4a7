"""CloudEvents 1.0 in Kafka binary mode: attributes are `ce_…` record headers, the payload is JSON in the record value.

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
"""Placeholder for the gateway's address in the published contracts; each installation has its own."""

_encoder = msgspec.json.Encoder()


class MalformedEvent(ValueError):
    """The record is not a valid event: a header is missing, the type is unknown, or the payload does not match it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to an event. It is passed on from a request to its events, and from event to event.

    `correlation_id` is the id of the request or deadline that started it all, `causation_id` the id of the direct cause.
    """

    correlation_id: str
    causation_id: str
    traceparent: str | None = None

    @classmethod
    def begin(cls) -> Cause:
        """A new cause that no request led to, with a new trace."""
        started = new_id()
        return cls(started, started, new_traceparent())


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event with its attributes, as a consumer receives it."""

    event: E_co
    id: str
    key: str
    sequence: int
    time: datetime
    correlation_id: str
    causation_id: str
    traceparent: str | None = None
    redrive: int = 0
    """How many times it was sent again from the dead letters."""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cause(self) -> Cause:
        """The cause to give to events that this event leads to."""
        return Cause(self.correlation_id, self.id, self.traceparent)


@dataclass(frozen=True, slots=True)
class Record:
    """An event encoded as a Kafka record."""

    topic: str
    key: str
    headers: list[tuple[str, str]]
    value: bytes

    @property
    def id(self) -> str:
        return dict(self.headers)["ce_id"]


def new_traceparent() -> str:
    """A W3C `traceparent` that starts a new trace: https://www.w3.org/TR/trace-context/#traceparent-header."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-01"


@cache
def schema_uri(event: type[Event], base_url: str = EXAMPLE_BASE_URL) -> str:
    """The absolute URL of the payload's JSON Schema. `base_url` is the gateway's address, without a trailing slash."""
    return f"{base_url}/schemas/{event.type}.json"


@cache
def _schema_path(event: type[Event]) -> str:
    return schema_uri(event, "")


def names_schema_of(event: type[Event], uri: str) -> bool:
    """Whether `uri` is the event's schema at any gateway: an installation's address can change after events were written."""
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
    """Encodes `event` as a record. `sequence` counts the events of its entity; `time` defaults to now, in real time.
    `base_url` is the address of the gateway that serves the schemas."""
    headers = _headers(type(event), event.key, sequence, cause, event_id, time, base_url)
    return Record(event.topic.name, event.key, headers, _encoder.encode(event))


def encode_tombstone(
    kind: type[Event],
    key: str,
    *,
    sequence: int,
    cause: Cause,
    time: datetime | None = None,
    base_url: str = EXAMPLE_BASE_URL,
) -> Record:
    """A record without a value: the state of `key` is not published any more. Parameters as in `encode`."""
    return Record(kind.topic.name, key, _headers(kind, key, sequence, cause, None, time, base_url), b"")


def _headers(
    kind: type[Event],
    key: str,
    sequence: int,
    cause: Cause,
    event_id: str | None,
    time: datetime | None,
    base_url: str,
) -> list[tuple[str, str]]:
    moment = (time or datetime.now(UTC)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", event_id or new_id()),
        ("ce_source", f"/makegood/{kind.topic.owner}"),
        ("ce_type", kind.type),
        ("ce_subject", key),
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
    return headers


def event_type(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The CloudEvents type of a record, or None. Nothing else is decoded; Kafka allows headers without a value."""
    for name, value in headers:
        if name == "ce_type":
            return None if value is None else value.decode(errors="replace")
    return None


def decode(key: bytes | None, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Received[Event]:
    """Decodes the event in a Kafka record. Raises MalformedEvent if it is not a valid event."""
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
        raise MalformedEvent(f"not a valid event: {missing} is missing or unknown") from missing
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise MalformedEvent(f"not a valid event: {error}") from error
