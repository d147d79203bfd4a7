"""Who is first in line for a slot is judged by the rules of bookability, each of them (AVAIL-6, BOOK-7, BOOK-8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from makegood_booking.store import coverage
from makegood_contracts.events import (
    WaitlistCandidateJudged,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
)
from makegood_contracts.ids import new_id
from msgspec.structs import replace as altered

from .examples import HOUR, NOW, START
from .news import enrolled, granted, hear, overdue, told
from .test_api_bookability import OUT_OF_POCKET, bookability, covered, reasons, working
from .world import CAUSE, World, received

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


async def answers(world: World, *proposals: WaitlistCandidateProposed) -> list[WaitlistCandidateJudged]:
    await world.outbox()
    await world.handle(*proposals)
    return [event for event in await world.outbox() if isinstance(event, WaitlistCandidateJudged)]


def codes(answer: WaitlistCandidateJudged) -> list[str]:
    return [reason.code for reason in answer.reasons]


async def test_who_could_book_the_slot_is_told_so_once(world: World) -> None:
    await covered(world)
    await working(world)
    asked = proposal(await world.room())
    (answer,) = await answers(world, asked)
    assert (answer.proposal_id, answer.entry_id, answer.starts_at) == (asked.proposal_id, asked.entry_id, START)
    assert (answer.reasons, answer.next_starts_at) == ((), None)


async def nothing(world: World, room: str) -> None:
    """As it stands."""


async def ended(world: World, room: str) -> None:
    await hear(world, told(enrolled(new_id(), "plan", date(2026, 11, 1), date(2026, 11, 20), **OUT_OF_POCKET)))
    await hear(world, told(granted()))


async def other_plan(world: World, room: str) -> None:
    await covered(world, lengths=[45], modalities=["audio"])


async def messaging_only(world: World, room: str) -> None:
    await covered(world, credits=0, lengths=[], modalities=[])


async def no_credit(world: World, room: str) -> None:
    await covered(world, credits=0)


async def owing(world: World, room: str) -> None:
    await covered(world)
    await hear(world, told(overdue()))


async def closed(world: World, room: str) -> None:
    await covered(world)
    await world.member.post(f"/v1/rooms/{room}/close")


async def away(world: World, room: str) -> None:
    await covered(world)
    async with world.service.database.reading() as queries:
        await queries.execute("UPDATE rooms SET last_activity_at = $1", NOW - timedelta(days=40))


async def busy(world: World, room: str) -> None:
    await covered(world)
    other = await world.room(provider="dr-other")
    wish = world.booking_body(other, START + 15 * MINUTE)
    await world.member.post("/v1/sessions", json=wish, headers={"Idempotency-Key": new_id()})


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
    world: World, bring_about: Any, expected: set[str]
) -> None:
    await working(world)
    room = await world.room()
    await bring_about(world, room)
    (answer,) = await answers(world, proposal(room))
    assert expected <= set(codes(answer))
    found = await bookability(world, room, starts_at=START.isoformat(), length_minutes=30, modality="video")
    assert {reason.code: reason.action for reason in answer.reasons} == reasons(found)
    assert [reason.detail for reason in answer.reasons] == [reason["detail"] for reason in found["reasons"]]


@pytest.mark.rule("AVAIL-3")
async def test_what_others_ask_for_meanwhile_is_no_reason_for_the_slot_is_held(world: World) -> None:
    await covered(world)
    await working(world)
    room, other = await world.room(), await world.room("ben")
    wish = world.booking_body(other, START)
    asked = await world.person("member", "ben").post("/v1/sessions", json=wish, headers={"Idempotency-Key": new_id()})
    assert asked.status_code == 202
    (answer,) = await answers(world, proposal(room))
    assert codes(answer) == []


async def test_the_next_start_that_the_member_could_book_is_named(world: World) -> None:
    await working(world)
    ends = date(START.year, START.month, START.day)
    await hear(world, told(enrolled(new_id(), "plan", ends + timedelta(days=1), **OUT_OF_POCKET)))
    await hear(world, told(granted()))
    (answer,) = await answers(world, proposal(await world.room()))
    assert codes(answer) == ["coverage-ended"]
    assert answer.next_starts_at == START.replace(hour=0, minute=0) + timedelta(days=1)


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(
    "changed", [{"member_id": "ben"}, {"provider_id": "dr-no"}, {"room_id": new_id()}, {"room_id": "x"}]
)
async def test_a_proposal_of_other_people_is_not_believed(world: World, changed: dict[str, str]) -> None:
    asked = received(altered(proposal(await world.room()), **changed))
    async with world.service.database.transaction(CAUSE) as unit:
        await world.service.events[WaitlistCandidateProposed]([asked], unit)
    assert unit.refused == {asked.id: "not-its-parties"}
    assert not [event for event in await world.outbox() if isinstance(event, WaitlistCandidateJudged)]


async def test_a_proposal_whose_time_is_over_is_not_answered(world: World) -> None:
    asked = proposal(await world.room(), decide_by=NOW - 2 * MINUTE)
    assert await answers(world, asked) == []


@pytest.mark.rule("BOOK-8")
async def test_what_is_held_for_a_candidate_is_offered_to_nobody_else_until_they_are_passed_over(world: World) -> None:
    await covered(world)
    await working(world)
    room = await world.room()
    first = datetime.fromisoformat((await bookability(world, room))["next_slots"][0]["starts_at"])
    asked = proposal(await world.room("ben"), first, member_id="ben")
    slots: list[Sequence[str]] = []
    over = WaitlistCandidatePassedOver(
        **{
            name: getattr(asked, name) for name in WaitlistCandidatePassedOver.__struct_fields__ if hasattr(asked, name)
        },
        cause="unanswered",
    )
    told_in_turn: list[list[Any]] = [[], [asked], [over]]
    for number, event in enumerate(told_in_turn):
        await hear(world, *(told(one, number) for one in event))
        slots.append([slot["starts_at"] for slot in (await bookability(world, room))["next_slots"]])
    iso = first.isoformat().replace("+00:00", "Z")
    assert [iso in each for each in slots] == [True, False, True]


async def test_many_proposals_in_one_batch_are_each_answered(world: World) -> None:
    await covered(world)
    await working(world)
    room = await world.room()
    asked = [proposal(room, START + n * HOUR) for n in range(5)]
    got = await answers(world, *asked)
    assert [answer.proposal_id for answer in got] == [one.proposal_id for one in asked]
    assert all(answer.reasons == () for answer in got)


async def test_a_judge_that_cannot_find_out_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(coverage, "read_lots", broken)
    (answer,) = await answers(world, proposal(await world.room()))
    assert codes(answer) == ["temporary-interruption"]
