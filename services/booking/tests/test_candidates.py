"""Who is first in line for a slot is judged by the rules of bookability, each of them (AVAIL-6, BOOK-7, BOOK-8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    WaitlistCandidateJudged,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received
from msgspec.structs import replace as altered

from .examples import HOUR, NOW, START
from .harness import BookingHarness
from .news import enrolled, granted, hear, overdue, told
from .test_api_bookability import OUT_OF_POCKET, bookability, covered, reasons, working

pytestmark = pytest.mark.rule("AVAIL-6", "BOOK-8")
MINUTE = timedelta(minutes=1)


def proposal(room: str, starts_at: datetime = START, **changes: Any) -> WaitlistCandidateProposed:
    values: dict[str, Any] = {
        "entry_id": new_id(),
        "proposal_id": new_id(),
        "provider_id": "dr-lee",
        "member_id": "anna",
        "room_id": room,
        "length_minutes": 30,
        "modality": "video",
        "starts_at": starts_at,
        "ends_at": starts_at + 30 * MINUTE,
        "blocked_from": starts_at,
        "blocked_until": starts_at + 30 * MINUTE,
        "decide_by": NOW + MINUTE,
        **changes,
    }
    return WaitlistCandidateProposed(**values)


async def answers(harness: BookingHarness, *proposals: WaitlistCandidateProposed) -> list[WaitlistCandidateJudged]:
    await harness.outbox()
    await harness.handle(*proposals)
    return [event for event in await harness.outbox() if isinstance(event, WaitlistCandidateJudged)]


def codes(answer: WaitlistCandidateJudged) -> list[str]:
    return [reason.code for reason in answer.reasons]


async def test_who_could_book_the_slot_is_told_so_once(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    asked = proposal(await harness.room())
    (answer,) = await answers(harness, asked)
    assert (answer.proposal_id, answer.entry_id, answer.starts_at) == (asked.proposal_id, asked.entry_id, START)
    assert (answer.reasons, answer.next_starts_at) == ((), None)


async def nothing(harness: BookingHarness, room: str) -> None:
    """As it stands."""


async def ended(harness: BookingHarness, room: str) -> None:
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 11, 1), date(2026, 11, 20), **OUT_OF_POCKET)))
    await hear(harness, told(granted()))


async def other_plan(harness: BookingHarness, room: str) -> None:
    await covered(harness, lengths=[45], modalities=["audio"])


async def messaging_only(harness: BookingHarness, room: str) -> None:
    await covered(harness, credits=0, lengths=[], modalities=[])


async def no_credit(harness: BookingHarness, room: str) -> None:
    await covered(harness, credits=0)


async def owing(harness: BookingHarness, room: str) -> None:
    await covered(harness)
    await hear(harness, told(overdue()))


async def closed(harness: BookingHarness, room: str) -> None:
    await covered(harness)
    await harness.member.post(f"/v1/rooms/{room}/close")


async def away(harness: BookingHarness, room: str) -> None:
    await covered(harness)
    async with harness.service.database.reading() as queries:
        await queries.execute("UPDATE rooms SET last_activity_at = $1", NOW - timedelta(days=40))


async def busy(harness: BookingHarness, room: str) -> None:
    await covered(harness)
    other = await harness.room(provider="dr-other")
    body = harness.booking_body(other, START + 15 * MINUTE)
    await harness.member.post("/v1/sessions", json=body, headers={"Idempotency-Key": new_id()})


@pytest.mark.rule("BOOK-7")
@pytest.mark.parametrize(
    ("bring_about", "expected"),
    [
        (nothing, {"coverage-ended"}),
        (ended, {"coverage-ended"}),
        (other_plan, {"length-not-in-plan", "modality-not-in-plan"}),
        (messaging_only, {"plan-excludes-live-sessions"}),
        (no_credit, {"no-session-credits"}),
        (owing, {"outstanding-charges"}),
        (closed, {"room-closed"}),
        (away, {"room-inactive"}),
        (busy, {"member-busy"}),
    ],
)
async def test_who_could_not_is_named_every_reason_with_its_remedy_as_bookability_names_them(
    harness: BookingHarness, bring_about: Any, expected: set[str]
) -> None:
    await working(harness)
    room = await harness.room()
    await bring_about(harness, room)
    (answer,) = await answers(harness, proposal(room))
    assert expected <= set(codes(answer))
    found = await bookability(harness, room, starts_at=START.isoformat(), length_minutes=30, modality="video")
    assert {reason.code: reason.action for reason in answer.reasons} == reasons(found)
    assert [reason.detail for reason in answer.reasons] == [reason["detail"] for reason in found["reasons"]]


@pytest.mark.rule("AVAIL-3")
async def test_what_others_ask_for_meanwhile_is_no_reason_for_the_slot_is_held(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    room, other = await harness.room(), await harness.room("ben")
    body = harness.booking_body(other, START)
    asked = await harness.client("member", "ben").post("/v1/sessions", json=body, headers={"Idempotency-Key": new_id()})
    assert asked.status_code == 202
    (answer,) = await answers(harness, proposal(room))
    assert codes(answer) == []


async def test_the_next_start_that_the_member_could_book_is_named(harness: BookingHarness) -> None:
    await working(harness)
    ends = date(START.year, START.month, START.day)
    await hear(harness, told(enrolled(new_id(), "plan", ends + timedelta(days=1), **OUT_OF_POCKET)))
    await hear(harness, told(granted()))
    (answer,) = await answers(harness, proposal(await harness.room()))
    assert codes(answer) == ["coverage-ended"]
    assert answer.next_starts_at == START.replace(hour=0, minute=0) + timedelta(days=1)


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(
    "changed", [{"member_id": "ben"}, {"provider_id": "dr-no"}, {"room_id": new_id()}, {"room_id": "x"}]
)
async def test_a_proposal_of_other_people_is_refused(harness: BookingHarness, changed: dict[str, str]) -> None:
    asked = received(altered(proposal(await harness.room()), **changed))
    async with harness.service.database.transaction(CAUSE) as unit:
        await harness.service.events[WaitlistCandidateProposed]([asked], unit)
    assert unit.refused == {asked.id: "not-its-parties"}
    assert not [event for event in await harness.outbox() if isinstance(event, WaitlistCandidateJudged)]


async def test_a_proposal_whose_time_is_over_is_not_answered(harness: BookingHarness) -> None:
    asked = proposal(await harness.room(), decide_by=NOW - 2 * MINUTE)
    assert await answers(harness, asked) == []


@pytest.mark.rule("BOOK-8")
async def test_what_is_held_for_a_candidate_is_offered_to_nobody_else_until_they_are_passed_over(
    harness: BookingHarness,
) -> None:
    await covered(harness)
    await working(harness)
    room = await harness.room()
    first = datetime.fromisoformat((await bookability(harness, room))["next_slots"][0]["starts_at"])
    asked = proposal(await harness.room("ben"), first, member_id="ben")
    slots: list[Sequence[str]] = []
    over = WaitlistCandidatePassedOver(
        **{
            name: getattr(asked, name) for name in WaitlistCandidatePassedOver.__struct_fields__ if hasattr(asked, name)
        },
        cause="unanswered",
    )
    told_in_turn: list[list[Any]] = [[], [asked], [over]]
    for number, event in enumerate(told_in_turn):
        await hear(harness, *(told(one, number) for one in event))
        slots.append([slot["starts_at"] for slot in (await bookability(harness, room))["next_slots"]])
    iso = first.isoformat().replace("+00:00", "Z")
    assert [iso in each for each in slots] == [True, False, True]


async def test_many_proposals_in_one_batch_are_each_answered(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    room = await harness.room()
    asked = [proposal(room, START + n * HOUR) for n in range(5)]
    got = await answers(harness, *asked)
    assert [answer.proposal_id for answer in got] == [one.proposal_id for one in asked]
    assert all(answer.reasons == () for answer in got)


async def test_a_judge_that_cannot_find_out_says_so(harness: BookingHarness) -> None:
    room = await harness.room()
    await working(harness, time_zone="Mars/Olympus")
    (answer,) = await answers(harness, proposal(room))
    assert codes(answer) == ["temporary-interruption"]
