"""Moves under load and against each other: batches, and what happens at the same moment (RESC-1)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts.events import Event, SessionMoved, SessionMoveRefused, SessionMoveRequested
from makegood_testkit.service import names

from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness

LATER = timedelta(hours=500)


async def asked(harness: BookingHarness, session: Any) -> SessionMoveRequested:
    """The session is to go to the same time three weeks later."""
    starts_at = _start(session) + LATER
    await harness.outbox()
    answer = await harness.provider.post(
        f"/v1/sessions/{session['id']}/reschedule", json={"starts_at": starts_at.isoformat()}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 202, answer.text
    (event,) = await harness.outbox()
    assert isinstance(event, SessionMoveRequested)
    return event


def _start(session: Any) -> Any:
    return START + timedelta(hours=int(session["starts_at"][11:13]) - START.hour)


def there(session: Any, move: SessionMoveRequested) -> Event:
    return Answers.slot_moved(session, move.move_id, move.new_starts_at, move.new_ends_at)


@pytest.mark.rule("RESC-1")
async def test_a_batch_of_answers_is_decided_move_by_move_and_each_counts_once(harness: BookingHarness) -> None:
    sessions = [await harness.confirmed(START + n * HOUR) for n in range(12)]
    asks = [await asked(harness, session) for session in sessions]
    held = [Answers.move_held(session, move.move_id) for session, move in zip(sessions, asks, strict=True)]
    await harness.handle(*held, *held)
    assert names(await harness.outbox()) == ["SessionMoveFunded"] * 12
    pairs = list(zip(sessions, asks, strict=True))
    moved = [there(session, move) for session, move in pairs[::2]]
    refused = [Answers.slot_stays(session, move.move_id) for session, move in pairs[1::2]]
    await harness.handle(*moved, *moved)
    await harness.handle(*refused, *refused)
    events = await harness.outbox()
    assert [type(event) for event in events] == [SessionMoved] * 6 + [SessionMoveRefused] * 6
    for number, (session, move) in enumerate(pairs):
        after = await harness.read(session)
        assert after["move"] is None if number % 2 == 0 else after["move"]["state"] == "refused"
        wanted = move.new_starts_at if number % 2 == 0 else move.starts_at
        assert after["starts_at"] == wanted.isoformat().replace("+00:00", "Z")


@pytest.mark.rule("RESC-1", "CANC-1")
@pytest.mark.parametrize("round_", range(5))
async def test_a_move_and_an_ending_at_the_same_moment_leave_one_session_at_one_time(
    harness: BookingHarness, round_: int
) -> None:
    session = await harness.confirmed()
    move = await asked(harness, session)
    await harness.handle(Answers.move_held(session, move.move_id))
    await harness.outbox()
    answer, _ = await asyncio.gather(
        harness.member.post(f"/v1/sessions/{session['id']}/cancel"), harness.handle(there(session, move))
    )
    assert answer.status_code == 202
    after = await harness.read(session)
    told = names(await harness.outbox())
    assert told in (["SessionMoved", "SessionCancelled"], ["SessionCancelled"])
    wanted = move.new_starts_at if len(told) == 2 else move.starts_at
    assert (after["status"], after["move"], after["starts_at"]) == (
        "cancelled",
        None,
        wanted.isoformat().replace("+00:00", "Z"),
    )


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize("round_", range(5))
async def test_the_deadline_of_a_move_and_its_credit_never_both_win(harness: BookingHarness, round_: int) -> None:
    session = await harness.confirmed()
    move = await asked(harness, session)
    harness.clock.moment = NOW + 5 * MINUTE - timedelta(milliseconds=1)
    await asyncio.gather(harness.handle(Answers.move_held(session, move.move_id)), harness.advance(NOW + 5 * MINUTE))
    items = (await harness.member.get(f"/v1/sessions/{session['id']}/history")).json()["items"]
    told = [item["type"] for item in items[4:]]
    assert told in (["SessionMoveFunded"], ["SessionMoveRefused"])
    await harness.handle(there(session, move))
    after = await harness.read(session)
    assert (after["starts_at"] != session["starts_at"]) is (told == ["SessionMoveFunded"])


@pytest.mark.rule("RESC-1")
async def test_two_who_move_a_session_at_the_same_moment_move_it_once(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}/reschedule"
    answers = await asyncio.gather(
        *(
            person.post(path, json={"starts_at": (START + n * HOUR).isoformat()}, headers={"If-Match": "*"})
            for n, person in enumerate((harness.member, harness.provider), 1)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    assert names(await harness.outbox()) == ["SessionMoveRequested"]
