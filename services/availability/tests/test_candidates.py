"""The waitlist's saga: a candidate is proposed, booking judges, and it is offered, or the next is proposed (AVAIL-6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_availability.domain.waitlist import ANSWER_WITHIN, ASK_AGAIN, UNANSWERED_AGAIN
from makegood_contracts.events import (
    Event,
    SessionRejected,
    SessionReserved,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
    WaitlistOffered,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received
from msgspec.structs import replace as altered

from .harness import MINUTE, NOW, AvailabilityHarness, all_codes, at, judgement, later, request
from .waiting import HOUR, ROOMS, Client, cancelled, full_morning, join, mine, offered_to, opened, statuses, told

pytestmark = pytest.mark.rule("AVAIL-6")


def proposals(events: list[Event]) -> list[WaitlistCandidateProposed]:
    return [event for event in events if isinstance(event, WaitlistCandidateProposed)]


async def one_candidate(harness: AvailabilityHarness, client: Client, *members: str) -> WaitlistCandidateProposed:
    """These wait, and a slot has opened; who is first is proposed, and nobody has answered."""
    taken = await full_morning(harness)
    for member in members or ("anna",):
        await join(client, member)
    await harness.outbox()
    harness.booking_judges = False
    events = await harness.receive(cancelled(taken))
    (proposal,) = proposals(events)
    assert told(events) == []
    return proposal


async def test_a_candidate_holds_the_slot_and_is_told_nothing_until_booking_has_judged(
    harness: AvailabilityHarness, client: Client
) -> None:
    proposal = await one_candidate(harness, client, "anna", "ben")
    assert (proposal.member_id, proposal.starts_at, proposal.ends_at) == ("anna", at(9), at(10))
    assert proposal.decide_by == NOW + ANSWER_WITHIN
    (entry,) = await mine(client, "anna")
    assert (entry["status"], entry["offer"], entry["position"]) == ("waiting", None, 1)
    assert (await offered_to(client, "anna"), await offered_to(client, "ben")) == (["09:00"], [])
    assert await harness.judge(proposal) == ""
    (offer,) = await harness.outbox()
    assert isinstance(offer, WaitlistOffered)
    assert (offer.member_id, offer.proposal_id, offer.lapses_at) == ("anna", proposal.proposal_id, NOW + 2 * HOUR)
    assert await statuses(client) == [("offered", 1), ("waiting", 2)]


async def test_who_could_not_book_it_is_told_why_once_and_keeps_the_place_and_the_next_gets_it(
    harness: AvailabilityHarness, client: Client
) -> None:
    harness.obstacles["anna"] = ["coverage-ended", "outstanding-charges"]
    taken = await full_morning(harness)
    for member in ("anna", "ben"):
        await join(client, member)
    events = await harness.receive(cancelled(taken))
    assert told(events)[2:] == [("Offered", "ben")]
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert (over.member_id, over.cause, over.tells_member) == ("anna", "refused", True)
    assert [reason.code for reason in over.reasons] == harness.obstacles["anna"]
    assert await statuses(client) == [("waiting", 1), ("offered", 2)]
    (entry,) = await mine(client, "anna")
    assert [(reason["code"], reason["remedy"]["action"]) for reason in entry["reasons"]] == [
        ("coverage-ended", "try_again_later"),
        ("outstanding-charges", "try_again_later"),
    ]
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 1
    # Ben lets it lapse: it opens anew, and Anna is asked about first. She is not told the same again.
    events = await harness.advance(NOW + 2 * HOUR)
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert (over.member_id, over.tells_member) == ("anna", False)
    assert await offered_to(client, "cleo") == ["09:00"], "nobody else waits, so everybody may have it"


async def test_who_could_not_book_is_asked_about_again_after_a_while_and_when_something_opens(
    harness: AvailabilityHarness, client: Client
) -> None:
    harness.obstacles["anna"] = ["no-session-credits"]
    taken = await full_morning(harness)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    assert await statuses(client) == [("waiting", 1)]
    assert proposals(await harness.advance(NOW + ASK_AGAIN - MINUTE)) == [], "not again and again"
    del harness.obstacles["anna"]  # credits were bought
    assert told(await harness.advance(NOW + ASK_AGAIN)) == [("Offered", "anna")]
    (entry,) = await mine(client, "anna")
    assert (entry["status"], entry["reasons"]) == ("offered", [])


async def test_a_judge_that_never_answers_does_not_block_the_line(harness: AvailabilityHarness, client: Client) -> None:
    await one_candidate(harness, client, "anna", "ben")
    events = await harness.advance(NOW + ANSWER_WITHIN)
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert (over.member_id, over.cause, over.reasons, over.tells_member) == ("anna", "unanswered", (), False)
    (second,) = proposals(events)
    assert second.member_id == "ben"
    assert await harness.judge(second) == ""
    assert told(await harness.outbox()) == [("Offered", "ben")]
    assert await statuses(client) == [("waiting", 1), ("offered", 2)]
    (entry,) = await mine(client, "anna")
    assert entry["reasons"] == []


async def test_a_slot_about_which_booking_never_answers_is_free_for_all_and_its_candidates_are_proposed_again(
    harness: AvailabilityHarness, client: Client
) -> None:
    await one_candidate(harness, client)
    assert proposals(await harness.advance(NOW + ANSWER_WITHIN)) == []
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 0
    assert await offered_to(client, "cleo") == ["09:00"]
    (again,) = proposals(await harness.advance(NOW + ANSWER_WITHIN + UNANSWERED_AGAIN))
    assert again.member_id == "anna"


async def test_what_booking_cannot_find_out_is_no_reason_of_the_members(
    harness: AvailabilityHarness, client: Client
) -> None:
    proposal = await one_candidate(harness, client, "anna", "ben")
    await harness.judge(proposal, "temporary-interruption")
    events = await harness.outbox()
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert not over.tells_member
    assert [event.member_id for event in proposals(events)] == ["ben"]
    assert (await mine(client, "anna"))[0]["reasons"] == []
    assert "anna" in [event.member_id for event in proposals(await harness.advance(NOW + UNANSWERED_AGAIN))]


async def test_an_answer_counts_once_and_only_while_it_is_waited_for(
    harness: AvailabilityHarness, client: Client
) -> None:
    proposal = await one_candidate(harness, client, "anna", "ben")
    answers = [judgement(proposal), judgement(proposal, "room-closed"), judgement(proposal)]
    async with harness.database.transaction(CAUSE) as unit:
        await harness.service.events[type(answers[0])]([received(answer) for answer in answers], unit)
    assert told(await harness.outbox()) == [("Offered", "anna")]
    for answer in answers:
        assert await harness.refusal_of(answer) == ""
    assert await harness.outbox() == []
    assert await statuses(client) == [("offered", 1), ("waiting", 2)]


async def test_an_answer_that_comes_too_late_changes_nothing(harness: AvailabilityHarness, client: Client) -> None:
    proposal = await one_candidate(harness, client, "anna", "ben")
    await harness.advance(NOW + ANSWER_WITHIN)
    assert await harness.judge(proposal) == ""
    assert await harness.outbox() == []
    assert await statuses(client) == [("waiting", 1), ("waiting", 2)]


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"member_id": "mallory"}, "not-its-parties"),
        ({"provider_id": "mallory"}, "not-its-parties"),
        ({"room_id": new_id()}, "not-its-parties"),
        ({"starts_at": at(11)}, "not-its-terms"),
    ],
)
async def test_a_judgement_of_something_else_is_refused(
    harness: AvailabilityHarness, client: Client, changed: dict[str, str], why: str
) -> None:
    proposal = await one_candidate(harness, client)
    assert await harness.refusal_of(altered(judgement(proposal), **changed)) == why
    assert await statuses(client) == [("waiting", 1)]
    assert await harness.judge(proposal) == ""
    assert await statuses(client) == [("offered", 1)]


async def test_who_could_book_only_a_later_start_is_proposed_for_that_one_and_not_told(
    harness: AvailabilityHarness, client: Client
) -> None:
    harness.booking_judges = False
    await full_morning(harness)
    await harness.publish(weekly=[{"day": "tuesday", "from": "09:00", "to": "14:00"}])
    day = {"from": at(10).isoformat(), "to": at(14).isoformat()}
    await join(client, "anna", **day)
    (first,) = proposals(await harness.outbox())
    assert first.starts_at == at(10)
    await harness.judge(first, "coverage-ended", next_starts_at=at(12))
    events = await harness.outbox()
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert not over.tells_member
    (second,) = proposals(events)
    assert second.starts_at == at(12)
    # Nothing more within what Anna waits for: then she is told.
    await harness.judge(second, "coverage-ended", next_starts_at=at(14))
    (over,) = [event for event in await harness.outbox() if isinstance(event, WaitlistCandidatePassedOver)]
    assert over.tells_member


async def test_a_candidate_who_books_before_booking_has_judged_has_it(
    harness: AvailabilityHarness, client: Client
) -> None:
    proposal = await one_candidate(harness, client, "anna", "ben")
    wanted = request(at(9), 60, member="anna", hold_until=at(8))
    assert all_codes(await harness.ask(wanted)) == [[]]
    assert await harness.judge(proposal) == ""
    assert told(await harness.outbox()) == []
    assert told(await harness.receive(later(SessionReserved, wanted, confirm_by=at(8)))) == [("Ended", "anna")]
    assert await statuses(client) == [("booked", None), ("waiting", 1)]


async def test_a_candidate_whose_own_booking_is_refused_waits_on(harness: AvailabilityHarness, client: Client) -> None:
    await one_candidate(harness, client)
    wanted = request(at(9), 60, member="anna", hold_until=at(8))
    await harness.ask(wanted)
    events = await harness.receive(later(SessionRejected, wanted, reasons=[]))
    assert [event.member_id for event in proposals(events)] == ["anna"], "and is a candidate as before"
    assert await statuses(client) == [("waiting", 1)]


async def test_who_leaves_as_a_candidate_makes_way(harness: AvailabilityHarness, client: Client) -> None:
    await one_candidate(harness, client, "anna", "ben")
    (entry,) = await mine(client, "anna")
    await client("member", "anna").delete(f"/v1/rooms/{ROOMS['anna']}/waitlist/{entry['id']}")
    events = await harness.outbox()
    assert told(events) == [("Ended", "anna")]
    assert [event.member_id for event in proposals(events)] == ["ben"]


async def test_hours_that_change_meanwhile_end_the_proposal(harness: AvailabilityHarness, client: Client) -> None:
    proposal = await one_candidate(harness, client)
    off = {"starts_at": at(8).isoformat(), "ends_at": at(11).isoformat()}
    await client("provider", "doc").post("/v1/providers/doc/time-off", json=off)
    events = await harness.advance()
    (over,) = [event for event in events if isinstance(event, WaitlistCandidatePassedOver)]
    assert over.cause == "withdrawn"
    assert await harness.judge(proposal) == ""
    assert await statuses(client) == [("waiting", 1)]
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 0


async def test_a_candidate_whose_time_is_over_waits_no_more(harness: AvailabilityHarness, client: Client) -> None:
    await one_candidate(harness, client)
    assert told(await harness.advance(at(10))) == [("Ended", "anna")]
    assert await statuses(client) == [("lapsed", None)]


async def test_however_long_the_line_of_those_who_could_not_it_comes_to_the_one_who_could(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    for number in range(12):
        ROOMS_OF = {f"m{number}": new_id()}
        for member, room in ROOMS_OF.items():
            await harness.receive(opened(room, member))
            harness.obstacles[member] = ["plan-excludes-live-sessions"]
            wanted = {"from": at(9).isoformat(), "to": at(10).isoformat(), "length_minutes": 60, "modality": "video"}
            answer = await client("member", member).post(f"/v1/rooms/{room}/waitlist", json=wanted)
            assert answer.status_code == 201
    await join(client, "anna")
    await harness.outbox()
    events = await harness.receive(cancelled(taken))
    assert told(events) == [("Offered", "anna")]
    assert len(proposals(events)) == 13
    # Nothing more happens by itself until they are asked about again.
    assert proposals(await harness.advance(NOW + timedelta(minutes=50))) == []
