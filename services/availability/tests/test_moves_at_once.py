"""Moves at the same time: no two sessions overlap, and each move gets one answer (RESC-1, AVAIL-3)."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from makegood_chassis.messaging.failures import is_transient
from makegood_contracts.events import Event, SessionMoveFunded, SessionRequested, SlotHeld, SlotMoved, SlotMoveRefused
from makegood_testkit.service import CAUSE, received

from .harness import MINUTE, AvailabilityHarness, at, booked, move, place, request
from .test_handlers import OVERLAPPING


@pytest.mark.rule("RESC-1", "AVAIL-3")
async def test_100_concurrent_moves_into_each_others_slots_leave_no_overlap_and_lose_nothing(
    harness: AvailabilityHarness,
) -> None:
    sessions: list[SessionRequested] = []
    for number in range(5):
        await harness.publish(f"p{number}", buffer_after_minutes=5)
        sessions += [
            request(at(9) + 60 * MINUTE * n, 30, provider=f"p{number}", member=f"m{(n + number) % 8}") for n in range(8)
        ]
    await booked(harness, *sessions)
    rng = random.Random(3)
    handle = harness.service.events[SessionMoveFunded]
    tries = 0

    def wanted() -> SessionMoveFunded:
        of = rng.choice(sessions)
        return move(of, at(9) + 15 * MINUTE * rng.randrange(31), moved_by="provider")

    async def one(batch: list[SessionMoveFunded]) -> None:
        nonlocal tries
        while True:
            tries += 1
            try:
                async with harness.database.transaction(CAUSE) as unit:
                    await handle([received(event) for event in batch], unit)
                return
            except asyncpg.PostgresError as error:
                if not is_transient(error):
                    raise

    batches = [[wanted() for _ in range(rng.choice([1, 1, 2, 3]))] for _ in range(100)]
    await asyncio.gather(*(one(batch) for batch in batches))
    answers: list[Event] = await harness.outbox()
    asked = [event for batch in batches for event in batch]
    assert sorted(answer.move_id for answer in answers if isinstance(answer, SlotMoved | SlotMoveRefused)) == sorted(
        event.move_id for event in asked
    )
    assert await harness.value(OVERLAPPING) == 0
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == len(sessions)
    assert any(isinstance(answer, SlotMoved) for answer in answers)
    assert any(isinstance(answer, SlotMoveRefused) for answer in answers)
    last = {answer.session_id: answer for answer in answers if isinstance(answer, SlotMoved)}
    for session_id, moved in last.items():
        assert (await place(harness, session_id))[:2] == (moved.starts_at, moved.ends_at)
    assert tries <= len(batches) + 10, "moves kept waiting for each other in rings"


@pytest.mark.rule("RESC-1", "AVAIL-3", "REL-2")
async def test_moves_and_bookings_at_once_leave_no_overlap(harness: AvailabilityHarness) -> None:
    await harness.publish()
    sessions = [request(at(9 + n), 30, member=f"m{n}") for n in range(8)]
    await booked(harness, *sessions)
    handlers = harness.service.events
    rng = random.Random(5)
    events: list[Event] = [
        move(rng.choice(sessions), at(9) + 15 * MINUTE * rng.randrange(31), moved_by="provider") for _ in range(40)
    ]
    events += [request(at(9) + 15 * MINUTE * rng.randrange(31), 30, member=f"n{n}") for n in range(40)]
    rng.shuffle(events)

    async def one(event: Event) -> None:
        while True:
            try:
                async with harness.database.transaction(CAUSE) as unit:
                    await handlers[type(event)]([received(event)], unit)
                return
            except asyncpg.PostgresError as error:
                if not is_transient(error):
                    raise

    await asyncio.gather(*(one(event) for event in events))
    answers = await harness.outbox()
    assert (len(answers), await harness.value(OVERLAPPING)) == (80, 0)
    held = sum(isinstance(answer, SlotHeld) for answer in answers)
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == len(sessions) + held
