"""One poll in the database: effects once, order per key, poison alone, servers waited for."""

from __future__ import annotations

import json

import asyncpg
import pytest
from makegood_chassis.database import Database
from makegood_chassis.messaging.batches import group_preserving_key_order
from makegood_chassis.messaging.dead_letters import DeadLetterLimit, DeadLetterLimitExceeded
from makegood_chassis.messaging.failures import Stopped
from makegood_chassis.messaging.processor import Processor
from makegood_contracts.envelope import Record, decode
from makegood_contracts.events import SessionConfirmed, SessionLeft, SessionReserved
from makegood_contracts.ids import new_id

from .messaging_example import MOMENT, POISON, Handlers, session_event
from .messaging_helpers import effects, polled, record_of


def make(database: Database, handlers: Handlers, limit: int = 1000) -> Processor:
    return Processor(database, handlers.table(), service="availability", guard=DeadLetterLimit(limit, 60))


async def outbox(database: Database, topic: str) -> list[asyncpg.Record]:
    async with database.reading() as queries:
        return await queries.fetch("SELECT key, headers, payload FROM outbox WHERE topic = $1 ORDER BY id", topic)


def with_header(record: Record, name: str, value: str) -> Record:
    headers = [(key, text) for key, text in record.headers if key != name]
    return Record(record.topic, record.key, [*headers, (name, value)], record.value)


@pytest.mark.rule("REL-6")
async def test_an_event_that_comes_again_has_its_effect_once(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    records = [record_of(session_event(new_id())) for _ in range(20)]
    await processor.process(polled([*records, *records[:5]]))
    await processor.process(polled(records[10:]))
    assert [row[0] for row in await effects(database)] == [record.id for record in records]
    assert handlers.calls[0] == 20, "the poll is one batch"
    assert len(await outbox(database, "availability.reservations.v1")) == 20


@pytest.mark.rule("REL-6")
async def test_an_event_that_comes_again_to_another_process_has_its_effect_once(database: Database) -> None:
    """That process knows nothing of it, handles it again, and finds it in the inbox at the end."""
    handlers = Handlers()
    records = [record_of(session_event(new_id())) for _ in range(20)]
    await make(database, Handlers()).process(polled(records[:10]))
    await make(database, handlers).process(polled(records))
    assert handlers.calls == [20, 10], "all of them, and then those that are new"
    assert [row[0] for row in await effects(database)] == [record.id for record in records]
    assert len(await outbox(database, "availability.reservations.v1")) == 20


async def test_what_does_not_concern_the_service_touches_no_table(database: Database) -> None:
    handlers = Handlers()
    keys = [new_id(), new_id()]
    processor = Processor(
        database,
        handlers.table(),
        service="availability",
        guard=DeadLetterLimit(5, 60),
        is_relevant=lambda event: event.key == keys[1],
    )
    await processor.process(polled([record_of(session_event(key)) for key in keys]))
    assert [key for _, key, _ in await effects(database)] == keys[1:]
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM inbox") == 1


async def test_a_keys_order_holds_across_event_types(database: Database) -> None:
    keys = [new_id() for _ in range(10)]
    records = []
    for version in range(1, 7):
        records += [
            record_of(session_event(key, version, reserved=(version + index) % 2 == 0), version)
            for index, key in enumerate(keys)
        ]
    handlers = Handlers()
    await make(database, handlers).process(polled(records))
    order: dict[str, list[int]] = {}
    for _, key, sequence in await effects(database):
        order.setdefault(key, []).append(sequence)
    assert order == {key: [1, 2, 3, 4, 5, 6] for key in keys}
    assert len(handlers.calls) <= 7, "events of one type are handled together as far as order allows"


def test_waves_are_as_few_as_order_allows() -> None:
    a, b = new_id(), new_id()
    events = [session_event(a, reserved=True), session_event(a), session_event(b, reserved=True), session_event(b)]
    received = [
        decode(record.key, record.headers, record.value) for record in polled(record_of(event) for event in events)
    ]
    a_reserved, a_confirmed, b_reserved, b_confirmed = received
    assert group_preserving_key_order(received) == [[a_reserved, b_reserved], [a_confirmed, b_confirmed]]
    handler = Handlers().effect
    assert group_preserving_key_order(received, {SessionReserved: handler, SessionConfirmed: handler}) == [received]


async def test_types_that_the_service_does_not_handle_are_skipped(database: Database) -> None:
    left = SessionLeft(
        **{name: getattr(session_event("s"), name) for name in SessionLeft.__struct_fields__ if name not in ("party", "left_at")},
        party="member", left_at=MOMENT,
    )  # fmt: skip
    handlers = Handlers()
    await make(database, handlers).process(polled([record_of(left), record_of(session_event("s"))]))
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM inbox") == 1
    assert handlers.calls == [1]


@pytest.mark.rule("REL-7")
async def test_poison_fails_alone_and_is_kept_with_reason_and_origin(database: Database) -> None:
    records = [record_of(session_event(new_id(), member=POISON if number % 10 == 3 else "m")) for number in range(1000)]
    poison, good = records[3::10], [record for number, record in enumerate(records) if number % 10 != 3]
    handlers = Handlers()
    processor = make(database, handlers)
    incoming = polled(records)
    for start in range(0, 1000, 500):
        await processor.process(incoming[start : start + 500])
    assert [row[0] for row in await effects(database)] == [record.id for record in good]
    letters = await outbox(database, "availability.dead-letters.v1")
    assert [letter["key"] for letter in letters] == [record.key for record in poison]
    assert [letter["payload"] for letter in letters] == [record.value for record in poison]
    for letter, record in zip(letters, poison, strict=True):
        headers = dict(json.loads(letter["headers"]))
        assert dict(record.headers).items() <= headers.items()
        assert headers["makegood_dead_reason"] == "ValueError"
        assert headers["makegood_dead_topic"] == "booking.sessions.v1"
        assert (headers["makegood_dead_partition"], headers["makegood_dead_offset"]) == (
            "0",
            str(records.index(record)),
        )
        assert headers["makegood_dead_attempts"] == "3"
        assert "makegood_dead_at" in headers
        assert "secret-canary" not in letter["headers"]
    await processor.process(incoming)
    assert len(await outbox(database, "availability.dead-letters.v1")) == 100, (
        "a dead event that comes again stays dead"
    )


@pytest.mark.rule("REL-7")
async def test_a_dead_letter_put_back_twice_has_one_effect(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    record = record_of(session_event("s", member=POISON))
    await processor.process(polled([record]))
    handlers.mended = True
    await processor.process(polled([record]))
    assert await effects(database) == [], "not put back, so not tried again"
    again = with_header(record, "makegood_redrive", "1")
    await processor.process(polled([again]))
    await processor.process(polled([again, with_header(record, "makegood_redrive", "2"), record]))
    assert [row[0] for row in await effects(database)] == [record.id]


@pytest.mark.rule("REL-7")
async def test_a_letter_put_back_before_the_fix_dies_again_and_can_be_put_back_again(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    record = record_of(session_event("s", member=POISON))
    await processor.process(polled([record]))
    await processor.process(polled([with_header(record, "makegood_redrive", "1")]))
    assert len(await outbox(database, "availability.dead-letters.v1")) == 2
    handlers.mended = True
    await processor.process(polled([with_header(record, "makegood_redrive", "2")]))
    assert len(await effects(database)) == 1


@pytest.mark.rule("REL-7")
async def test_a_flood_of_failures_stops_instead_of_burying_everything(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers, limit=10)
    records = [record_of(session_event(new_id(), member=POISON)) for _ in range(50)]
    with pytest.raises(DeadLetterLimitExceeded):
        await processor.process(polled(records))
    assert len(await outbox(database, "availability.dead-letters.v1")) == 10
    handlers.mended = True
    await make(database, handlers).process(polled(records))
    assert len(await effects(database)) == 40, "what was not given up is not lost"


async def test_what_is_no_event_becomes_a_dead_letter_once(database: Database) -> None:
    good = record_of(session_event("s"))
    bad = [
        Record(good.topic, "s", [], b"\xff\x00"),
        with_header(good, "ce_id", "no id"),
        with_header(good, "ce_sequence", "many"),
        with_header(record_of(session_event("s")), "makegood_redrive", "9" * 12),
        Record(good.topic, "a\0b", record_of(session_event("x")).headers, b"{}"),
    ]
    handlers = Handlers()
    processor = make(database, handlers)
    incoming = polled([*bad, record_of(session_event("s"))])
    incoming[0].key = b"\xff\xfe\x00"
    await processor.process(incoming)
    await processor.process(incoming)
    assert handlers.calls == [1]
    letters = await outbox(database, "availability.dead-letters.v1")
    assert len(letters) == len(bad)
    assert all("MalformedEvent" in letter["headers"] for letter in letters)
    assert "makegood_dead_key" in letters[0]["headers"]


async def test_errors_of_servers_are_waited_for_and_bury_nothing(database: Database) -> None:
    handlers = Handlers()
    handlers.failing = asyncpg.DeadlockDetectedError("of a test")
    told: list[bool] = []
    processor = make(database, handlers)
    processor.waiting = told.append
    tries = 0

    def given_up() -> bool:
        nonlocal tries
        tries += 1
        if tries == 8:
            handlers.failing = None
        return False

    processor.given_up = given_up
    await processor.process(polled([record_of(session_event(new_id())) for _ in range(10)]))
    assert len(await effects(database)) == 10
    assert set(handlers.calls) == {10}, "the whole poll is tried again, not its halves"
    assert told == [True, False]
    assert not await outbox(database, "availability.dead-letters.v1")


async def test_a_poll_that_waits_can_be_abandoned(database: Database) -> None:
    handlers = Handlers()
    handlers.failing = ConnectionResetError()
    processor = make(database, handlers)
    processor.given_up = lambda: len(handlers.calls) > 2
    with pytest.raises(Stopped):
        await processor.process(polled([record_of(session_event(new_id()))]))
    assert await effects(database) == []


async def test_the_trace_goes_on_with_the_effects(database: Database) -> None:
    record = record_of(session_event("s"))
    await make(database, Handlers()).process(polled([record]))
    (row,) = await outbox(database, "availability.reservations.v1")
    headers = dict(json.loads(row["headers"]))
    sent = dict(record.headers)
    assert headers["traceparent"] == sent["traceparent"]
    assert headers["ce_correlationid"] == sent["ce_correlationid"]
    assert headers["ce_causationid"] == sent["ce_id"]
