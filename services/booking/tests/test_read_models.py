"""What booking learns of other services' topics: the same in the end, whatever the order and however often it is told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from makegood_booking.store import calendars, coverage
from makegood_booking.store.bookability_data import BookabilityData, read_bookability_data
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditGranted,
    CreditReturned,
    Event,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    MessagePosted,
    MoveCreditHeld,
    SessionRequested,
    TimeOffAdded,
    TimeOffRemoved,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)
from makegood_contracts.events.base import EVENT_TYPES
from makegood_contracts.ids import new_id
from makegood_plans.coverage import covering
from makegood_testkit.databases import as_owner
from makegood_testkit.service import CAUSE
from msgspec.structs import replace as altered

from .examples import HOUR, NOW, START
from .harness import Answers, BookingHarness, Json
from .news import Told, enrolled, hear, movement, schedule, told

DAY = timedelta(days=1)
LATER = NOW + 30 * DAY


async def known(harness: BookingHarness) -> BookabilityData:
    room = await harness.room()
    async with harness.service.database.reading() as queries:
        stored = await read_bookability_data(queries, room, NOW)
    assert stored is not None
    return stored.understood()


async def lots(harness: BookingHarness) -> dict[str, tuple[int, int | None, datetime | None]]:
    return {lot.id: (lot.available, lot.length_minutes, lot.expires_at) for lot in (await known(harness)).lots}


def orders(news: list[Told], count: int) -> Iterable[list[Told]]:
    """The news in its order, then shuffled and with repeats."""
    yield news
    chance = random.Random(4)
    for _ in range(count):
        mixed = [*news, *chance.choices(news, k=len(news) // 2)]
        chance.shuffle(mixed)
        yield mixed


def held_of(session: Json, lot: str) -> Event:
    return altered(Answers.credit_held(session), lot_id=lot)


def returned(session: Json, lot: str, **other: Any) -> CreditReturned:
    values = {"cause": "cancelled", "source": "plan", "expires_at": LATER, "length_minutes": 30, **other}
    return CreditReturned(**movement(lot, session_id=session["id"], hold_id=new_id()), **values)


@pytest.mark.rule("CRED-2")
async def test_credits_left_of_each_lot_follow_grants_holds_returns_expiries_and_corrections(
    harness: BookingHarness,
) -> None:
    plan, bought, good, given = (new_id() for _ in range(4))
    one, two, three, four = [await harness.ask(START + n * HOUR) for n in range(4)]
    async with harness.service.database.transaction(CAUSE) as unit:
        over = [one["id"], two["id"]]
        await unit.execute("UPDATE sessions SET status = 'cancelled' WHERE id = ANY($1::uuid[])", over)
    ledger: list[Event] = [
        CreditGranted(**movement(plan, 4), source="plan", length_minutes=30, expires_at=LATER),
        CreditGranted(**movement(bought, 2), source="purchase", length_minutes=30, expires_at=None),
        CreditAdjusted(**movement(given, 3), made_by="sam", length_minutes=45),
        CreditAdjusted(**movement(given, -1), made_by="sam"),
        returned(one, plan),
        returned(two, good, cause="provider_missed", source="make_good", expires_at=LATER + DAY),
        returned(three, bought, cause="moved", source="purchase", expires_at=None),
        CreditCorrected(
            **movement(good, -1, session_id=two["id"], hold_id=new_id()),
            state="spent",
            source="make_good",
            expires_at=LATER + DAY,
        ),
        CreditCorrected(
            **movement(good, 1, session_id=two["id"], hold_id=new_id()),
            state="returned",
            source="make_good",
            expires_at=LATER + DAY,
            length_minutes=30,
        ),
        LotExpiryChanged(member_id="anna", lot_id=plan, expires_at=LATER - DAY),
        CreditExpired(**movement(plan, 1)),
    ]
    news = [told(event, number) for number, event in enumerate(ledger, 1)]
    # Four are held of the plan's; three moved on to a bought one, whose own came back, and four is still held.
    news += [told(held_of(session, plan)) for session in (one, two, three, four)]
    news += [
        told(
            MoveCreditHeld(
                session_id=three["id"],
                member_id="anna",
                move_id=new_id(),
                hold_id=new_id(),
                how=how,
                funding="credit",
                lot_id=bought,
            )
        )
        for how in ("added", "kept")
    ]
    wanted = {
        bought: (2, 30, None),
        good: (1, 30, LATER + DAY),
        given: (2, 45, None),
    }
    # 4 granted, 4 held, 1 back, 1 lapsed: nothing is left of the plan's.
    for order in orders(news, 12):
        await _forget(harness)
        await hear(harness, *order)
        assert await lots(harness) == wanted
    await hear(harness, told(returned(four, plan, cause="support")))
    assert await lots(harness) == {**wanted, plan: (1, 30, LATER - DAY)}


async def _forget(harness: BookingHarness) -> None:
    """As booking was before it heard anything."""
    async with as_owner(harness.service.database.url) as owner:
        await owner.execute("DELETE FROM credit_movements")
        await owner.execute("UPDATE sessions SET lot_id = NULL, funding = 'asked', credit_state = 'none'")


@pytest.mark.rule("PLAN-1")
async def test_coverage_ends_where_a_later_enrolment_begins_and_goes_on_where_the_plan_is_taken_up_again(
    harness: BookingHarness,
) -> None:
    first, second = new_id(), new_id()
    news = [
        told(enrolled(first, "a", date(2026, 11, 1), date(2026, 12, 31)), 1),
        told(enrolled(second, "b", date(2026, 12, 1), None, time_zone="America/New_York"), 3),
    ]
    again = told(enrolled(first, "a", date(2026, 11, 1), date(2027, 1, 31)), 4)
    begins = datetime(2026, 12, 1, 5, tzinfo=UTC)

    async def plan(moment: datetime) -> str | None:
        async with harness.service.database.reading() as queries:
            found = covering(await coverage.read_coverage(queries, "anna"), moment)
        return found.plan.id if found else None

    for order in orders(news, 4):
        await hear(harness, *order)
        moments = (datetime(2026, 10, 31, 22, tzinfo=UTC), NOW, begins - timedelta(microseconds=1), begins)
        assert [await plan(moment) for moment in moments] == [None, "a", "a", "b"]
    await hear(harness, again, *news)
    moments = (NOW, begins, datetime(2027, 1, 31, 22, 59, tzinfo=UTC), datetime(2027, 1, 31, 23, tzinfo=UTC))
    assert [await plan(moment) for moment in moments] == ["a", "a", "a", None]


@pytest.mark.rule("CRED-7")
async def test_who_owes_is_known_until_it_is_paid_or_void_and_again_when_it_is_issued_again(
    harness: BookingHarness,
) -> None:
    invoice: Json = {"invoice_id": new_id(), "member_id": "anna", "amount_minor": 2500, "currency": "USD"}
    due: Json = {"due_on": date(2026, 11, 1)}
    news = [
        told(InvoiceOverdue(**invoice, **due), 1),
        told(InvoiceVoided(**{**invoice, "invoice_id": new_id()}, cause="provider_missed"), 2),
        told(InvoiceVoided(**invoice, cause="corrected", was_due=True), 3),
        told(InvoiceOverdue(**invoice, **due), 4),
    ]

    async def owes() -> bool:
        return (await known(harness)).owes

    seen = []
    for one in news:
        await hear(harness, one)
        seen.append(await owes())
    assert seen == [True, True, False, True]
    for order in orders(news, 6):
        await hear(harness, *order)
        assert await owes()
    await hear(harness, told(InvoicePaid(**invoice, paid_at=NOW), 5), *news)
    assert not await owes()


@pytest.mark.rule("AVAIL-1")
async def test_the_latest_schedule_and_the_time_off_that_stands_are_known(harness: BookingHarness) -> None:
    off, gone = new_id(), new_id()
    span: Json = {"starts_at": START, "ends_at": START + HOUR}
    news = [
        told(schedule(1)),
        told(TimeOffAdded(provider_id="dr-lee", schedule_version=2, time_off_id=off, **span)),
        told(TimeOffAdded(provider_id="dr-lee", schedule_version=3, time_off_id=gone, **span)),
        told(TimeOffRemoved(provider_id="dr-lee", schedule_version=4, time_off_id=gone)),
        told(schedule(5, specialty="psychiatry")),
    ]
    for order in orders(news, 6):
        await hear(harness, *order)
        async with harness.service.database.reading() as queries:
            assert await calendars.read_schedule(queries, "dr-lee") == schedule(5, specialty="psychiatry")
            assert await calendars.read_schedule(queries, "dr-no") is None
            taken = await calendars.read_taken(queries, "dr-lee", "anna", START - HOUR, START + HOUR, NOW)
        assert taken.time_off == [(START, START + HOUR)]


@pytest.mark.rule("PLAN-1")
async def test_a_request_says_what_kind_of_provider_it_is_for(harness: BookingHarness) -> None:
    await harness.ask()
    await hear(harness, told(schedule(1, specialty="psychiatry")))
    await harness.ask(START + HOUR)
    asked = [event for event in await harness.outbox() if isinstance(event, SessionRequested)]
    assert [event.specialty for event in asked] == ["therapy", "psychiatry"]


@pytest.mark.rule("AVAIL-6")
async def test_what_is_held_for_others_on_the_waitlist_is_taken_until_it_lapses(harness: BookingHarness) -> None:
    entry: Json = {
        "entry_id": new_id(),
        "provider_id": "dr-lee",
        "member_id": "ben",
        "room_id": new_id(),
        "length_minutes": 30,
        "modality": "video",
    }
    blocked = (START - HOUR, START + HOUR)
    offer = WaitlistOffered(
        **entry,
        starts_at=START,
        ends_at=START + HOUR / 2,
        blocked_from=blocked[0],
        blocked_until=blocked[1],
        lapses_at=NOW + 2 * HOUR,
    )

    async def taken(member: str = "anna", now: datetime = NOW) -> Sequence[Any]:
        async with harness.service.database.reading() as queries:
            return (await calendars.read_taken(queries, "dr-lee", member, START, START + HOUR, now)).provider

    await hear(harness, told(offer, 7))
    assert (await taken(), await taken("ben"), await taken(now=NOW + 2 * HOUR)) == ([blocked], [], [])
    await hear(harness, told(WaitlistOfferLapsed(**entry, starts_at=START), 8), told(offer, 7))
    assert await taken() == []
    await hear(harness, told(WaitlistEnded(**entry, cause="left"), 10), told(offer, 9))
    assert await taken() == []


@pytest.mark.rule("AVAIL-3")
async def test_sessions_take_their_time_with_buffers_from_the_request_on_until_they_end(
    harness: BookingHarness,
) -> None:
    session = await harness.ask()

    async def taken() -> tuple[Sequence[Any], Sequence[Any]]:
        async with harness.service.database.reading() as queries:
            found = await calendars.read_taken(queries, "dr-lee", "anna", START - HOUR, START + HOUR, NOW)
        return found.provider, found.member

    own = (START, START + HOUR / 2)
    assert await taken() == ([own], [own])
    blocked = (START - HOUR / 4, START + HOUR)
    await hear(harness, told(altered(Answers.slot_held(session), blocked_from=blocked[0], blocked_until=blocked[1])))
    assert await taken() == ([blocked], [own])
    await hear(harness, told(Answers.credit_refused(session)))
    assert await taken() == ([], [])


@pytest.mark.rule("ROOM-2")
async def test_what_the_member_writes_or_waits_for_is_activity_and_what_the_provider_writes_is_none(
    harness: BookingHarness,
) -> None:
    room = await harness.room()

    async def seen() -> str:
        return str((await harness.member.get(f"/v1/rooms/{room}")).json()["last_activity_at"])

    def posted(person: str, at: datetime) -> Told:
        return told(MessagePosted(message_id=new_id(), room_id=room, sender_id=person, sent_at=at))

    before = await seen()
    await hear(harness, posted("dr-lee", NOW + 2 * DAY), posted("anna", NOW - DAY))
    assert await seen() == before
    await hear(harness, posted("anna", NOW + DAY), posted("anna", NOW + HOUR))
    assert await seen() == "2026-11-24T09:00:00Z"
    waits = WaitlistJoined(
        entry_id=new_id(),
        provider_id="dr-lee",
        member_id="anna",
        room_id=room,
        length_minutes=30,
        modality="video",
        waits_from=START,
        waits_until=START + DAY,
    )
    await hear(harness, replace(told(waits), time=NOW + 2 * DAY))
    assert await seen() == "2026-11-25T09:00:00Z"


@pytest.mark.rule("MISS-4")
def test_a_made_good_credit_that_changed_its_lot_pays_for_its_length_there() -> None:
    from makegood_booking.handlers.read_models import movement as moved

    arrives = CreditAdjusted(
        **movement(new_id(), 1), made_by="system", source="make_good", expires_at=LATER, made_for_minutes=45
    )
    found = moved(told(arrives))
    assert found is not None
    assert (found.amount, found.tells, found.expires_at, found.made_for_minutes) == (1, True, LATER, 45)


def test_the_topics_that_are_read_exist() -> None:
    from makegood_booking.handlers.routing import EVENTS

    assert all(kind.type in EVENT_TYPES for kind in EVENTS)


async def test_in_a_transaction_the_error_of_the_reading_itself_is_raised(harness: BookingHarness) -> None:
    """It tells whether trying again helps. After it, the transaction could only say that it has failed."""
    room = await harness.room()
    async with as_owner(harness.service.database.url) as owner, owner.transaction():
        await owner.execute("LOCK TABLE enrolments")
        async with harness.service.database.transaction(CAUSE) as unit:
            await unit.execute("SET LOCAL lock_timeout = '10ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await read_bookability_data(unit, room, NOW)
