"""Moving a session (RESC): one step for slot and credit, or nothing at all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from icalendar import Calendar
from makegood_devtools.client import Answer, Refused
from makegood_testkit.platform import Cast, Platform

CONFIRMED = "Your session is confirmed! Mark your calendar."
HOUR = timedelta(hours=1)


def start(session: Any) -> datetime:
    return datetime.fromisoformat(str(session["starts_at"]))


async def offered(cast: Cast, moment: datetime) -> bool:
    """Whether the provider's calendar offers this very start."""
    answer = await cast.member.get(
        f"/v1/providers/{cast.provider.subject}/slots",
        **{
            "from": moment.isoformat(),
            "to": (moment + timedelta(minutes=1)).isoformat(),
            "length_minutes": cast.length,
            "modality": cast.modality,
        },
    )
    return bool(answer["items"])


async def unchanged(cast: Cast, session: dict[str, Any]) -> None:
    """The session stands as it did, and so do its slot and its credit."""
    after = await cast.session(session)
    same = ("id", "status", "starts_at", "ends_at", "venue_id", "confirm_by", "credit")
    assert {name: after[name] for name in same} == {name: session[name] for name in same}
    assert not await offered(cast, start(session))
    credits = await cast.credits()
    assert credits["held"] == (1 if session["credit"]["state"] == "held" else 0)


@pytest.mark.rule("RESC-1")
async def test_a_move_keeps_the_session_and_its_credit_and_frees_the_old_slot(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    goal = start(session) + 24 * HOUR
    async with cast.ticker() as ticker:
        moved = await cast.move(session, goal)
        seen = await ticker.until(
            "SessionMoveRequested", "MoveCreditHeld", "SessionMoveFunded", "SlotMoved", "SessionMoved"
        )
    assert (moved.status, moved["id"], start(moved)) == (200, session["id"], goal)
    # A member's move needs the provider's word again.
    assert (moved["status"], moved["credit"]["state"]) == ("reserved", "held")
    assert datetime.fromisoformat(moved["confirm_by"]) == goal - 24 * HOUR
    assert await offered(cast, start(session))
    assert not await offered(cast, goal)
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (3, 1)
    assert [entry["kind"] for entry in await cast.ledger()] == ["grant", "hold"]
    # The slots changed hands in one event of availability: never none, never both.
    assert [item.name for item in seen if item.name.startswith("Slot")] == ["SlotMoved"]
    again = await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    assert (again["status"], again["starts_at"]) == ("confirmed", moved["starts_at"])


@pytest.mark.rule("RESC-1")
async def test_a_session_is_not_in_its_own_way(cast: Cast) -> None:
    session = await cast.book()
    moved = await cast.move(session, start(session) + timedelta(minutes=15))
    assert start(moved) == start(session) + timedelta(minutes=15)


@pytest.mark.rule("RESC-1")
async def test_whoever_moves_says_which_version_they_saw(cast: Cast) -> None:
    session = await cast.book()
    path = f"/v1/sessions/{session['id']}/reschedule"
    body = {"starts_at": (start(session) + HOUR).isoformat()}
    for version, status, slug in ((None, 428, "version-required"), (session["version"] - 1, 412, "version-mismatch")):
        answer = await cast.member.send("POST", path, body, version=version, wait=15)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    await unchanged(cast, session)


@pytest.mark.rule("RESC-1")
async def test_a_slot_that_is_taken_is_refused_and_everything_stays(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    rival = await cast.platform.cast(provider=cast.provider)
    taken = await rival.book(timedelta(days=5))
    with pytest.raises(Refused) as refusal:
        await cast.move(session, start(taken))
    assert (refusal.value.status, refusal.value.slug) == (409, "slot-taken")
    assert refusal.value.problem["message"] == "Provider is not available"
    await unchanged(cast, session)
    # And it can be moved elsewhere afterwards.
    moved = await cast.move(session, start(session) + 24 * HOUR + timedelta(minutes=cast.length))
    assert moved["status"] == "reserved"


@pytest.mark.rule("RESC-1")
async def test_with_short_notice_the_forfeit_is_accepted_and_another_credit_taken(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=30))
    goal = start(session) + 72 * HOUR
    with pytest.raises(Refused) as refusal:
        await cast.move(session, goal)
    assert (refusal.value.status, refusal.value.slug) == (409, "forfeit-not-accepted")
    assert refusal.value.problem["policy"]["forfeits_now"] is True
    await unchanged(cast, session)
    async with cast.ticker() as ticker:
        moved = await cast.move(session, goal, accept_forfeit=True)
        await ticker.until("SessionMoved", "CreditForfeited")
    assert (start(moved), moved["credit"]["state"]) == (goal, "held")
    await cast.balance(available=2, held=1)
    assert Counter(entry["kind"] for entry in await cast.ledger()) == {"grant": 1, "hold": 2, "forfeit": 1}


@pytest.mark.rule("RESC-1")
async def test_with_short_notice_and_no_credit_left_everything_stays(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=30))
    for day in range(3):
        await cast.book(timedelta(days=5 + day))
    before = await cast.session(session)
    with pytest.raises(Refused) as refusal:
        await cast.move(session, start(session) + 240 * HOUR, accept_forfeit=True)
    assert (refusal.value.status, refusal.value.slug) == (409, "no-session-credits")
    assert refusal.value.problem["purchasable"] is True
    after = await cast.session(session)
    assert (after["starts_at"], after["status"]) == (before["starts_at"], "confirmed")
    await cast.balance(available=0, held=4)


@pytest.mark.rule("RESC-2")
async def test_before_and_at_the_move_the_provider_reads_the_same_words(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-credits", length=45, modality="in_person")
    ops = platform.person("ops", "ops-of-venues")
    rooms = [(await ops.post("/v1/venues", {"name": name, "time_zone": "UTC"}))["id"] for name in ("Room 1", "Room 2")]
    session = await cast.confirmed(timedelta(days=4), venue_id=rooms[0])
    other = await platform.cast(plan="insurance-credits", length=45, modality="in_person")
    busy_there = await other.confirmed(timedelta(days=5), venue_id=rooms[1])
    rival = await platform.cast(plan="insurance-credits", length=45, modality="in_person", provider=cast.provider)
    busy_self = await rival.confirmed(timedelta(days=6), venue_id=rooms[1])

    async def check(moment: datetime, venue: str) -> str:
        asked = {
            "starts_at": moment.isoformat(),
            "length_minutes": 45,
            "modality": "in_person",
            "venue_id": venue,
            "session_id": session["id"],
        }
        answer = await cast.provider.get(f"/v1/providers/{cast.provider.subject}/availability", **asked)
        assert answer["available"] is (answer["message"] == "Slot available")
        return str(answer["message"])

    for blocked, venue, words, slug in (
        (busy_there, rooms[1], "Venue is not available", "venue-taken"),
        (busy_self, rooms[0], "Provider is not available", "slot-taken"),
    ):
        assert await check(start(blocked), venue) == words
        with pytest.raises(Refused) as refusal:
            await cast.move(session, start(blocked), cast.provider, venue_id=venue)
        assert (refusal.value.slug, refusal.value.problem["message"]) == (slug, words)
        after = await cast.session(session)
        assert (after["starts_at"], after["venue_id"]) == (session["starts_at"], rooms[0])
    goal = start(busy_there) + 2 * HOUR
    assert await check(goal, rooms[1]) == "Slot available"
    moved = await cast.move(session, goal, cast.provider, venue_id=rooms[1])
    assert (start(moved), moved["venue_id"], moved["status"]) == (goal, rooms[1], "confirmed")


@pytest.mark.rule("RESC-3", "RESC-2")
async def test_after_a_providers_move_the_member_cancels_late_without_loss(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=20))
    moved = await cast.move(session, start(session) + HOUR, cast.provider)
    assert (moved["status"], moved["credit"]["state"]) == ("confirmed", "held")
    await cast.platform.advance(timedelta(minutes=16))  # past the time to cool off
    policy = await cast.member.get(f"/v1/sessions/{session['id']}/policy")
    assert policy["forfeits_now"] is False
    cancelled = await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    assert (cancelled["status"], cancelled["credit"]["state"]) == ("cancelled", "returned")


@pytest.mark.rule("RESC-3")
async def test_after_a_providers_move_the_member_moves_late_without_loss_once(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=20))
    await cast.move(session, start(session) + HOUR, cast.provider)
    moved = await cast.move(session, start(session) + 2 * HOUR)
    assert start(moved) == start(session) + 2 * HOUR
    await cast.balance(available=3, held=1)
    # That one was their own choice: from now on their notice counts again.
    with pytest.raises(Refused) as refusal:
        await cast.move(session, start(session) + 3 * HOUR)
    assert refusal.value.slug == "forfeit-not-accepted"


@pytest.mark.rule("RESC-1", "MISS-3", "CRED-7")
async def test_a_co_pay_that_a_late_move_forfeited_is_owed_though_the_provider_misses_the_new_time(
    platform: Platform,
) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    session = await cast.confirmed(timedelta(hours=47))
    moved = await cast.move(session, start(session) + timedelta(days=1), accept_forfeit=True)
    await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    await platform.advance_to(start(moved) + timedelta(minutes=10))
    await cast.settled(session, "provider_missed", "none")

    async def charges() -> list[str]:
        answer = await cast.member.get(f"/v1/members/{cast.member.subject}/invoices")
        return sorted(item["status"] for item in answer["items"])

    await cast.eventually(charges, lambda seen: seen == ["issued", "void"])
    assert platform.audit() == []


@pytest.mark.rule("RESC-4", "RESC-2")
async def test_invitations_follow_each_change_under_one_uid(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    inbox = cast.inbox()
    await inbox.wait_for(CONFIRMED)
    # The provider moves it: told. Moves it again without an e-mail: the number rises all the same. The member cancels.
    await cast.move(session, start(session) + HOUR, cast.provider)
    await cast.eventually(lambda: invitations(cast), lambda seen: [item["sequence"] for item in seen] == [0, 1])
    await cast.move(session, start(session) + 2 * HOUR, cast.provider, notify_member=False)
    await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    seen = await cast.eventually(lambda: invitations(cast), lambda seen: len(seen) == 3)
    assert [(item["sequence"], item["method"]) for item in seen] == [(0, "REQUEST"), (1, "REQUEST"), (3, "CANCEL")]
    assert len({item["uid"] for item in seen}) == 1
    assert [item["start"] for item in seen] == [
        start(session),
        start(session) + HOUR,
        start(session) + 2 * HOUR,
    ]
    await inbox.close()


@pytest.mark.rule("RESC-4")
async def test_until_the_provider_confirms_again_the_invitation_is_tentative(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    await cast.move(session, start(session) + 24 * HOUR)
    seen = await cast.eventually(lambda: invitations(cast), lambda seen: len(seen) == 2)
    assert [item["status"] for item in seen] == ["CONFIRMED", "TENTATIVE"]
    await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    seen = await cast.eventually(lambda: invitations(cast), lambda seen: len(seen) == 3)
    assert [(item["sequence"], item["status"]) for item in seen] == [
        (0, "CONFIRMED"),
        (1, "TENTATIVE"),
        (2, "CONFIRMED"),
    ]


async def invitations(cast: Cast) -> list[dict[str, Any]]:
    """The calendar parts of the member's mails, in the order of their SEQUENCE."""
    inbox = cast.inbox()
    found = []
    try:
        for mail in await inbox.all():
            for content in await inbox.calendars(mail):
                calendar = Calendar.from_ical(content)
                (event,) = calendar.walk("VEVENT")
                found.append(
                    {
                        "method": str(calendar["METHOD"]),
                        "uid": str(event["UID"]),
                        "sequence": int(str(event["SEQUENCE"])),
                        "start": event.decoded("DTSTART").astimezone(UTC),
                        "status": str(event["STATUS"]),
                    }
                )
    finally:
        await inbox.close()
    return sorted(found, key=lambda item: item["sequence"])


@pytest.mark.slow
@pytest.mark.rule("RESC-1", "AVAIL-3")
async def test_a_hundred_moves_at_once_into_each_others_slots(platform: Platform) -> None:
    """A hundred sessions of one provider, one after the other; each wants another one's slot, or one of ten free ones."""
    first = await platform.cast()
    members = [first, *await asyncio.gather(*(platform.cast(provider=first.provider) for _ in range(24)))]
    base = await first.start_in(timedelta(days=4))
    slots = [base + timedelta(minutes=first.length * number) for number in range(110)]

    async def book(number: int) -> tuple[Cast, dict[str, Any]]:
        cast = members[number % 25]
        answer = await cast.member.post("/v1/sessions", cast.booking_body(slots[number]), wait=25)
        return cast, dict(answer.body)

    booked = await asyncio.gather(*(book(number) for number in range(100)))
    goals = random.Random(7).sample(slots, k=100)

    async def move(number: int) -> str:
        cast, session = booked[number]
        try:
            answer: Answer = await cast.move(session, goals[number])
        except Refused as refusal:
            return refusal.slug if refusal.status == 409 else f"{refusal.status}"
        assert (answer.status, start(answer)) == (200, goals[number])
        return "moved"

    outcomes = Counter(await asyncio.gather(*(move(number) for number in range(100))))
    assert set(outcomes) <= {"moved", "slot-taken", "member-busy"}
    assert outcomes["moved"] > 5, outcomes
    after = await asyncio.gather(*(cast.session(session) for cast, session in booked))
    spans = sorted((start(session), datetime.fromisoformat(session["ends_at"])) for session in after)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    assert {session["status"] for session in after} == {"reserved"}
    for cast in members:
        await cast.balance(available=0, held=4)
    assert platform.audit() == []
