"""Batches of events and deadlines, and the service as a process between real topics."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from makegood_booking.domain.policy import STANDARD
from makegood_chassis.clock import Clock
from makegood_contracts.envelope import Cause, decode, encode
from makegood_contracts.events import ProviderMissed, SessionRequested
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_stack.ports import free_port
from makegood_testkit.databases import settings_of
from makegood_testkit.identity import Identity
from makegood_testkit.service import CAUSE, names, received, slug
from makegood_testkit.waiting import eventually

from .examples import HOUR, MINUTE, START
from .harness import Answers, BookingHarness, first_schedule


async def asked(harness: BookingHarness, count: int) -> list[dict[str, Any]]:
    return [await harness.ask(START + n * HOUR) for n in range(count)]


@pytest.mark.rule("BOOK-1")
async def test_a_batch_is_decided_session_by_session_in_its_order(harness: BookingHarness) -> None:
    one, two, three = await asked(harness, 3)
    await harness.outbox()
    await harness.handle(*[Answers.slot_held(session) for session in (three, one)])
    await harness.handle(Answers.slot_refused(two))
    await harness.handle(*[Answers.credit_held(session) for session in (two, three, one)])
    events = await harness.outbox()
    assert names(events) == ["SessionRejected", "SessionReserved", "SessionReserved"]
    assert [event.key for event in events] == [two["id"], three["id"], one["id"]]
    states = [(await harness.read(session))["status"] for session in (one, two, three)]
    assert states == ["reserved", "rejected", "reserved"]


@pytest.mark.rule("CRED-3")
async def test_two_events_of_one_session_in_one_batch_both_count_once(harness: BookingHarness) -> None:
    session = await harness.reserved()
    await harness.outbox()
    await harness.handle(Answers.slot_lapsed(session), Answers.slot_lapsed(session))
    assert names(await harness.outbox()) == ["SessionCancelled"]
    assert (await harness.read(session))["version"] == session["version"] + 1


@pytest.mark.rule("AVAIL-4")
async def test_a_slot_that_was_released_because_of_booking_itself_changes_nothing(harness: BookingHarness) -> None:
    session = await harness.reserved()
    await harness.outbox()
    await harness.handle(Answers.slot_lapsed(session, "completed"))
    assert await harness.outbox() == []
    assert await harness.read(session) == session


@pytest.mark.rule("AVAIL-4")
async def test_a_co_pay_that_lapsed_ends_its_session_and_any_other_void_one_changes_nothing(
    harness: BookingHarness,
) -> None:
    session = await harness.ask()
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session, co_pay=True))
    session = await harness.read(session)
    assert (session["status"], session["credit"]) == ("reserved", {"state": "none"})
    await harness.outbox()
    without_session = msgspec.structs.replace(Answers.co_pay_void(session), session_id=None)
    await harness.handle(Answers.co_pay_void(session, "provider_missed"), without_session)
    assert await harness.outbox() == []
    await harness.handle(Answers.co_pay_void(session), Answers.co_pay_void(session))
    assert names(await harness.outbox()) == ["SessionCancelled"]
    assert (await harness.read(session))["status"] == "cancelled"


async def test_an_event_of_a_session_that_never_was_is_not_taken_and_spoils_nothing_else(
    harness: BookingHarness,
) -> None:
    (session,) = await asked(harness, 1)
    stranger = {**session, "id": new_id()}
    await harness.handle(Answers.slot_held(session), Answers.slot_held(stranger))
    await harness.handle(Answers.credit_held(session))
    assert (await harness.read(session))["status"] == "reserved"


@pytest.mark.rule("BOOK-1")
async def test_a_booking_that_nobody_answers_is_given_up_and_late_holds_reserve_nothing(
    harness: BookingHarness,
) -> None:
    session = await harness.ask()
    await harness.outbox()
    assert names(await harness.advance(harness.clock.moment + 5 * MINUTE)) == ["SessionRejected"]
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session))
    assert await harness.outbox() == []
    after = await harness.read(session)
    assert (after["status"], after["reason"]) == ("rejected", "temporary-interruption")


@pytest.mark.rule("BOOK-3")
async def test_the_policy_that_is_installed_has_the_numbers_of_the_standard_one(harness: BookingHarness) -> None:
    async with harness.service.database.reading() as queries:
        assert await harness.dependencies.policies.current(queries) == STANDARD


@pytest.mark.rule("MISS-1")
async def test_an_outage_is_caught_up_in_one_batch_each_session_once(harness: BookingHarness) -> None:
    sessions = [await harness.confirmed(START + n * HOUR) for n in range(6)]
    events = await harness.advance(START + timedelta(days=30))
    assert names(events) == ["ProviderMissed"] * 6
    assert {event.key for event in events} == {session["id"] for session in sessions}
    assert all(
        isinstance(event, ProviderMissed) and event.missed_at == event.starts_at + 10 * MINUTE for event in events
    )


@pytest.mark.rule("MISS-1", "JOIN-1")
async def test_the_deadline_and_the_joining_provider_never_both_win(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START + 10 * MINUTE - timedelta(milliseconds=1)
    answers = await asyncio.gather(
        harness.provider.post(f"/v1/sessions/{session['id']}/join"), harness.advance(START + 10 * MINUTE)
    )
    after = await harness.read(session)
    came = answers[0].status_code == 200
    assert after["status"] == ("confirmed" if came else "provider_missed")
    if not came:
        assert slug(answers[0]) == "session-over"


@pytest.mark.rule("BOOK-1")
async def test_each_event_carries_its_cause_and_the_next_number_of_its_session(harness: BookingHarness) -> None:
    session = await harness.ask()
    await harness.outbox()
    handler = harness.service.events
    first, second = received(Answers.slot_held(session)), received(Answers.credit_held(session))
    async with harness.service.database.transaction(CAUSE) as unit:
        await handler[type(first.event)]([first], unit)
        await handler[type(second.event)]([second], unit)
    async with harness.service.database.connections.loan() as connection:
        row = await connection.fetchrow("SELECT key, headers::json AS headers, payload FROM outbox")
    assert row is not None
    headers = dict(row["headers"])
    assert (headers["ce_sequence"], headers["ce_causationid"], headers["ce_correlationid"]) == ("2", second.id, "story")


@asynccontextmanager
async def process(url: str, kafka: str, prefix: str, identity: Identity) -> AsyncIterator[str]:
    """`python -m makegood_booking all`, ready; returns its address."""
    port, probes = free_port(), free_port()
    values = {
        **os.environ,
        "MAKEGOOD_ENVIRONMENT": "development",
        **settings_of("booking", url),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "JWKS_URL": str(identity.path),
        "HTTP_PORT": str(port),
        "PROBE_PORT": str(probes),
        "LOG_LEVEL": "WARNING",
    }
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "makegood_booking", "all", env=values)
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def ready() -> bool:
                assert running.returncode is None, "the process ended"
                try:
                    return (await http.get(f"http://127.0.0.1:{probes}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, seconds=60)
        yield base
    finally:
        if running.returncode is None:
            running.terminate()
        assert await asyncio.wait_for(running.wait(), 20) == 0


@pytest.mark.slow
@pytest.mark.rule("BOOK-1", "BOOK-4")
async def test_between_real_topics_a_booking_waits_for_both_answers(
    harness: BookingHarness, database_factory: Any, kafka_servers: str, topic_prefix: str, identity: Identity
) -> None:
    """The service is a process of its own; availability and credits are played by a consumer that answers its requests."""
    now = Clock().now()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_servers)
    consumer = AIOKafkaConsumer(
        topic_prefix + SESSIONS.name, bootstrap_servers=kafka_servers, auto_offset_reset="earliest"
    )
    seen: list[str] = []
    all_seen = asyncio.Event()

    async def answer_requests() -> None:
        async for record in consumer:
            event = decode(record.key, record.headers, record.value).event
            seen.append(type(event).__name__)
            if len(seen) == 4:
                all_seen.set()
            if not isinstance(event, SessionRequested):
                continue
            asked = {"id": event.session_id, "member_id": event.member_id, "provider_id": event.provider_id}
            asked |= {"starts_at": event.starts_at.isoformat(), "ends_at": event.ends_at.isoformat()}
            good = event.length_minutes == 30
            for reply in (
                Answers.slot_held(asked),
                Answers.credit_held(asked) if good else Answers.credit_refused(asked, purchasable=True),
            ):
                made = encode(reply, sequence=1, cause=Cause("story", "test"))
                await producer.send_and_wait(
                    topic_prefix + made.topic,
                    made.value,
                    made.key.encode(),
                    headers=[(n, v.encode()) for n, v in made.headers],
                )

    await producer.start()
    await consumer.start()
    playing = asyncio.create_task(answer_requests())
    try:
        async with process(await database_factory("booking"), kafka_servers, topic_prefix, identity) as base:
            people = {
                role: httpx.AsyncClient(
                    base_url=base, trust_env=False, timeout=30, headers=dict(harness.client(role, who).headers)
                )
                for role, who in (("member", "anna"), ("support", "sam"))
            }
            published = encode(first_schedule("dr-lee"), sequence=1, cause=Cause("story", "test"))
            await producer.send_and_wait(
                topic_prefix + published.topic,
                published.value,
                published.key.encode(),
                headers=[(n, v.encode()) for n, v in published.headers],
            )
            room = await people["support"].post("/v1/rooms", json={"member_id": "anna", "provider_id": "dr-lee"})
            outcomes = []
            for length in (30, 45):
                started = time.perf_counter()
                outcomes.append(
                    await people["member"].post(
                        "/v1/sessions",
                        json=harness.booking_body(room.json()["id"], now + timedelta(days=2), length_minutes=length),
                        headers={"Idempotency-Key": new_id(), "Prefer": "wait=20"},
                    )
                )
                print(f"booking with outcome: {(time.perf_counter() - started) * 1000:.1f} ms")  # noqa: T201
            good, bad = outcomes
            assert (good.status_code, good.json()["status"]) == (201, "reserved")
            assert (bad.status_code, slug(bad), bad.json()["purchasable"]) == (409, "no-session-credits", True)
            await asyncio.wait_for(all_seen.wait(), 20)
            assert seen == ["SessionRequested", "SessionReserved", "SessionRequested", "SessionRejected"]
            for client in people.values():
                await client.aclose()
    finally:
        playing.cancel()
        await consumer.stop()
        await producer.stop()
