"""Every event survives the way over a topic, and everything else is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from makegood_contracts.envelope import Cause, MalformedEvent, Record, decode, encode
from makegood_contracts.events import EVENT_TYPES, Event, SessionConfirmed, SessionType
from makegood_contracts.publishing.examples import record_of
from makegood_contracts.publishing.schemas import schema_of
from makegood_contracts.reasons import Reason

EVENTS = sorted(EVENT_TYPES.values(), key=lambda kind: kind.type)


@cache
def _struct(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: st.from_type(field.type) for field in msgspec.structs.fields(kind)})


st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(date, st.dates())
st.register_type_strategy(int, st.integers(-(2**53), 2**53))
st.register_type_strategy(Reason, _struct(Reason))
st.register_type_strategy(SessionType, _struct(SessionType))


@cache
def _validator(kind: type[Event]) -> Draft202012Validator:
    return Draft202012Validator(schema_of(kind))


def _send(record: Record) -> Any:
    return decode(record.key.encode(), [(name, text.encode()) for name, text in record.headers], record.value)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_arrives_as_it_was_sent(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(_struct(kind))
    sequence = data.draw(st.integers(1, 2**31))
    received = _send(encode(event, sequence=sequence, cause=Cause("story", "cause")))
    assert received.event == event
    assert (received.key, received.sequence) == (event.key, sequence)
    assert (received.correlation_id, received.causation_id, received.traceparent) == ("story", "cause", None)
    _validator(kind).validate(msgspec.json.decode(encode(event, sequence=1, cause=received.cause).value))


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_readers_ignore_fields_they_do_not_know(kind: type[Event]) -> None:
    record = record_of(kind)
    longer = msgspec.json.encode(msgspec.json.decode(record.value) | {"added_later": {"a": [1]}})
    assert _send(Record(record.topic, record.key, record.headers, longer)).event == _send(record).event


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_has_its_topics_key(kind: type[Event]) -> None:
    assert kind.topic.key in {field.name for field in msgspec.structs.fields(kind)}
    assert kind.type == f"makegood.{kind.topic.owner}.{kind.__name__}.v1"


@pytest.mark.parametrize("header", ["ce_type", "ce_id", "ce_sequence", "ce_time", "ce_correlationid", "ce_causationid"])
def test_a_record_without_an_attribute_is_no_event(header: str) -> None:
    record = record_of(SessionConfirmed)
    headers = [pair for pair in record.headers if pair[0] != header]
    with pytest.raises(MalformedEvent):
        _send(Record(record.topic, record.key, headers, record.value))


@pytest.mark.parametrize("value", [b"", b"null", b"{", b"{}", b"[1]", b"\xff", b'{"session_id": 7}'])
def test_a_payload_that_does_not_fit_is_no_event(value: bytes) -> None:
    record = record_of(SessionConfirmed)
    with pytest.raises(MalformedEvent):
        _send(Record(record.topic, record.key, record.headers, value))


@pytest.mark.parametrize(
    ("header", "text"), [("ce_sequence", "many"), ("ce_time", "yesterday"), ("ce_type", "makegood.booking.Nothing.v1")]
)
def test_an_attribute_that_makes_no_sense_is_no_event(header: str, text: str) -> None:
    record = record_of(SessionConfirmed)
    headers = [(name, text if name == header else value) for name, value in record.headers]
    with pytest.raises(MalformedEvent):
        _send(Record(record.topic, record.key, headers, record.value))
