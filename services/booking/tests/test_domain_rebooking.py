"""Rebooking what the provider missed: one right a miss, used by one booking, for thirty days (MISS-4)."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.actions import Action, actions
from makegood_booking.domain.attendance import decline, join, time_passed
from makegood_booking.domain.bookability import (
    MemberContext,
    SessionKind,
    TakenTime,
    pay_reasons,
    rebook_refused,
    slot_reasons,
)
from makegood_booking.domain.booking import request_session
from makegood_booking.domain.cancelling import call_off, cancel
from makegood_booking.domain.coverage import sessions_left
from makegood_booking.domain.disputes import correct
from makegood_booking.domain.in_person import say_outcome
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.rebooking import (
    RIGHT,
    PastBooking,
    RebookingContext,
    rebookable_until,
    reopened,
    reopens,
    reopens_room_now,
    rights,
)
from makegood_booking.domain.rooms import close_room, is_available, room_reasons
from makegood_booking.domain.session import Session
from makegood_calendar.hours import Hours
from makegood_calendar.slot_rules import Schedule
from makegood_contracts.events import Modality
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.plans import Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods
from msgspec.structs import replace

from . import answers
from .examples import HOUR, MINUTE, NOW, ROOM, START, attended, booking_request, confirmed, done, requested, reserved

DAY = timedelta(days=1)
TODAY = NOW.date()
MISSED_AT = START + 10 * MINUTE
LATER = START + DAY
CLOSED = close_room(ROOM, START, "provider")[0]


def missed(starts_at: datetime = START) -> Session:
    return time_passed(confirmed(starts_at), starts_at + 10 * MINUTE).session


def row(session: Session) -> PastBooking:
    """As the store reads it."""
    booked = session.booked
    return PastBooking(
        session.id,
        booked.length_minutes - session.extended_minutes,
        booked.modality,
        booked.requested_at,
        session.status,
        session.given_up,
        session.missed_at if session.status == "provider_missed" else None,
    )


def left(now: datetime, *sessions: Session) -> list[str]:
    return [right.session_id for right in rights([row(session) for session in sessions], now)]


def again(now: datetime = LATER, **other: Any) -> Session:
    """A booking of the same kind, made then for some time later."""
    return reserved(now + 10 * DAY, now, **other)


def place(*sessions: Session, room: Any = CLOSED, **other: Any) -> RebookingContext:
    facts: dict[str, Any] = {"provider_available": True, "another_room": False, **other}
    return RebookingContext(room, rights=rights([row(session) for session in sessions], LATER), **facts)


MADE_GOOD = PublishedLot("lot", 1, 30, MISSED_AT + RIGHT, made_for_minutes=30)


def works(length_minutes: int = 30, hours: tuple[tuple[int, int], ...] = ((0, 1440),)) -> Schedule:
    day, none = timedelta(days=1), timedelta()
    lengths: dict[int, frozenset[Modality]] = {length_minutes: frozenset(["video"])}
    return Schedule(Hours(ZoneInfo("UTC"), (hours,) * 7), 15 * MINUTE, none, none, none, 60 * day, lengths, "therapy")


def context(*sessions: Session, room: Any = CLOSED, **other: Any) -> MemberContext:
    """A room with a provider who works, and a member whose credit was made good."""
    facts: dict[str, Any] = {"schedule": works(), "lots": [MADE_GOOD], **other}
    return MemberContext(room, LATER, STANDARD, rights=rights([row(session) for session in sessions], LATER), **facts)


@pytest.mark.rule("MISS-4")
def test_a_rebooking_that_came_to_nothing_leaves_the_right_unless_the_member_gave_it_up() -> None:
    first = missed()
    assert left(LATER, first) == [first.id]
    start = LATER + 10 * DAY
    failed = {
        "rejected": done(
            answers.slot_refused(done(answers.credit_held(requested(start, LATER), False, LATER)), [], LATER)
        ),
        "declined": done(decline(again(), LATER)),
        "expired": time_passed(again(), start - 24 * HOUR).session,
        "taken back before it was decided": done(cancel(requested(start, LATER), "member", False, LATER)),
        "left before it was decided": done(call_off(requested(start, LATER), "member", "change_of_provider", LATER)),
        "cancelled by the provider": done(cancel(again(), "provider", False, LATER)),
        "time off": done(call_off(again(), "provider", "time_off", LATER)),
        "lost": done(call_off(again(), "system", "lost_hold", LATER)),
        "the provider was not there": done(cancel(confirmed(start, LATER), "member", False, start)),
    }
    for why, session in failed.items():
        assert session.over, why
        assert left(start, first, session) == [first.id], why
    for session in (
        requested(start, LATER),
        again(),
        confirmed(start, LATER),
        done(cancel(again(), "member", True, LATER)),
        done(call_off(again(), "member", "change_of_provider", LATER)),
    ):
        assert left(LATER, first, session) == []


@pytest.mark.rule("MISS-4")
def test_two_misses_give_two_rights_and_a_missed_rebooking_another() -> None:
    first, second = missed(), missed(START + DAY)
    now = START + 2 * DAY
    assert left(now, first, second) == [first.id, second.id]
    assert left(now, first, second, again(now)) == [second.id], "the one that lapses first is used first"
    assert left(now, first, second, again(now), again(now)) == []
    once_more = time_passed(confirmed(now + DAY, START + HOUR), now + DAY + 10 * MINUTE).session
    assert left(now + 2 * DAY, first, once_more) == [once_more.id]


@pytest.mark.rule("MISS-4", "EXT-1")
def test_only_a_booking_of_the_same_kind_after_the_miss_uses_the_right() -> None:
    first = missed()
    for other in (
        again(length_minutes=45),
        again(modality="audio"),
        reserved(LATER, MISSED_AT - MINUTE),
    ):
        assert left(LATER, first, other) == [first.id]
    assert left(LATER, first, again(MISSED_AT)) == [], "from the very moment on"
    second, lapsed = missed(START + DAY), MISSED_AT + RIGHT
    assert left(lapsed, first, second, again(lapsed)) == [], "what has lapsed is used by nothing"
    longer = replace(first, extended_minutes=15, booked=replace(first.booked, length_minutes=45))
    assert left(LATER, longer, again()) == [], "the extension was beside what was booked"


@pytest.mark.rule("MISS-4", "MISS-5")
def test_the_right_counts_from_the_miss_or_from_the_correction() -> None:
    assert (missed().missed_at, rebookable_until(missed())) == (MISSED_AT, MISSED_AT + 30 * DAY)
    assert left(MISSED_AT + RIGHT - MINUTE, missed()) != []
    assert left(MISSED_AT + RIGHT, missed()) == []
    held = time_passed(attended("member", "provider"), START + HOUR).session
    assert held.status == "completed"
    corrected_at = START + 20 * DAY
    corrected = done(correct(held, "provider_missed", "sam", corrected_at))
    assert rebookable_until(corrected) == corrected_at + 30 * DAY
    assert left(corrected_at, corrected, again(LATER)) == [corrected.id], "what was booked before rebooked nothing"
    assert left(corrected_at, done(correct(missed(), "completed", "sam", corrected_at))) == []
    asked = time_passed(confirmed(modality="in_person", venue_id="v"), START + HOUR).session
    said = done(say_outcome(asked, "provider_missed", START + 20 * HOUR))
    assert rebookable_until(said) == START + 20 * HOUR + 30 * DAY
    old = replace(missed(), missed_at=None)
    assert rebookable_until(old) == START + 30 * DAY, "of an earlier release nothing but the start is known"


@pytest.mark.rule("MISS-4", "MISS-2")
def test_the_right_counts_from_the_news_where_the_miss_is_found_late() -> None:
    for late in (timedelta(), HOUR):
        in_time = time_passed(confirmed(), MISSED_AT + late).session
        assert rebookable_until(in_time) == MISSED_AT + 30 * DAY, "as the credit"
    for late in (HOUR + MINUTE, 40 * DAY):
        changed = time_passed(confirmed(), MISSED_AT + late)
        assert rebookable_until(changed.session) == MISSED_AT + late + 30 * DAY
        assert left(MISSED_AT + late, changed.session) != []
        assert changed.events[-1].missed_at == MISSED_AT, "the miss itself is when it was"  # type: ignore[attr-defined]


@pytest.mark.rule("MISS-4")
@given(
    st.lists(st.tuples(st.integers(0, 90), st.sampled_from(["missed", "again", "failed"])), max_size=12).map(sorted),
    st.integers(0, 130),
)
def test_rights_and_bookings_are_matched_one_to_one(steps: list[tuple[int, str]], today: int) -> None:
    known: list[PastBooking] = []
    open_: list[int] = []
    for number, (day, what) in enumerate(steps):
        at = NOW + day * DAY + number * MINUTE
        if day > today:
            break
        name = str(number)
        open_ = [each for each in open_ if at < NOW + steps[each][0] * DAY + each * MINUTE + RIGHT]
        if what == "missed":
            known.append(PastBooking(name, 30, "video", at - 200 * DAY, "provider_missed", False, at))
            open_.append(number)
        elif what == "failed":
            known.append(PastBooking(name, 30, "video", at, "expired", False, None))
        else:
            known.append(PastBooking(name, 30, "video", at, "confirmed", False, None))
            open_ = open_[1:]
    now = NOW + today * DAY + HOUR
    open_ = [each for each in open_ if now < NOW + steps[each][0] * DAY + each * MINUTE + RIGHT]
    assert [right.session_id for right in rights(known, now)] == [str(each) for each in open_]


def button(session: Session, where: MemberContext | None, now: datetime = LATER) -> Action | None:
    return next((action for action in actions(session, "member", now, where) if action.action == "rebook"), None)


@pytest.mark.rule("MISS-4", "BOOK-10", "ROOM-1")
def test_the_button_is_what_the_booking_would_be_told() -> None:
    session = missed()
    allowed = Action("rebook", True, until=MISSED_AT + 30 * DAY)
    assert button(session, context(session)) == allowed
    assert button(session, context(session, room=ROOM)) == allowed, "open all the time"
    by_member = close_room(ROOM, START, "member")[0]
    closed: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "closed by the member": ({"room": by_member}, {"room": by_member}),
        "the provider is gone": ({"schedule": works(hours=())}, {"provider_available": False}),
        "another room is active": ({"another_room": True}, {"another_room": True}),
    }
    for why, (facts, where) in closed.items():
        assert button(session, context(session, **facts)) == Action("rebook", False, reason="room-closed"), why
        assert not reopens(place(session, **where), 30, "video"), why
    refused: dict[Any, dict[str, Any]] = {
        "slot-not-offered": {"room": ROOM, "schedule": works(hours=())},
        "outstanding-charges": {"owes": True},
        "coverage-ended": {"lots": []},
        "length-not-in-plan": {"lots": [], "coverage": coverage()},
    }
    for reason, facts in refused.items():
        assert button(session, context(session, **facts)) == Action("rebook", False, reason=reason)
    other_length = context(session, schedule=works(length_minutes=45))
    assert button(session, other_length) == Action("rebook", False, reason="slot-not-offered")
    soon = coverage(LATER.date() + 5 * DAY, lengths=(30,), live_credits=None)
    assert button(session, context(session, lots=[], coverage=soon)) == allowed, "for a later day"
    assert button(session, context(session, again())) is None, "it was rebooked already"
    assert not reopens(place(session, again()), 30, "video")
    late = MISSED_AT + 30 * DAY
    assert button(session, None, late) == Action("rebook", False, reason="session-over")
    assert button(session, None, late - MINUTE) is None, "nothing is said without the room"
    assert button(confirmed(), context(session), NOW) is None
    assert "rebook" not in {action.action for action in actions(session, "provider", LATER, context(session))}


SCHEDULES: dict[str, Schedule | None] = {
    "not told": None,
    "always": works(),
    "no such length": works(45),
    "withdrawn": works(hours=()),
    "mornings": works(hours=((600, 660),)),
}


@pytest.mark.rule("MISS-4", "BOOK-10")
@given(
    closed_by=st.sampled_from([None, "member", "provider", "support", "system"]),
    away=st.booleans(),
    schedule=st.sampled_from(list(SCHEDULES)),
    another=st.booleans(),
    used=st.booleans(),
    owes=st.booleans(),
    lots=st.sampled_from(
        [[], [MADE_GOOD], [dataclasses.replace(MADE_GOOD, made_for_minutes=45)], [PublishedLot("lot", 1, 30, None)]]
    ),
    begins=st.integers(-40, 55),
    ends=st.none() | st.integers(0, 70),
    plan=st.sampled_from([None, {}, {"lengths": (30,)}, {"lengths": (30,), "live_credits": None}]),
)
def test_button_and_booking_agree(
    closed_by: Any, away: bool, schedule: Any, another: bool, used: bool, owes: bool, lots: Any, begins: int, ends: Any,
    plan: Any,
) -> None:  # fmt: skip
    """The booking is refused, at whatever time, exactly where the button is; and the button says why."""
    session = missed()
    room = ROOM if closed_by is None else close_room(ROOM, START, closed_by)[0]
    first = LATER.date() + begins * DAY
    plans = [] if plan is None else coverage(first, None if ends is None else first + ends * DAY, **plan)
    rest: dict[str, Any] = {"another_room": another, "owes": owes, "lots": lots, "coverage": plans}
    here = context(session, *([again()] if used else []), room=room, schedule=SCHEDULES[schedule], **rest)
    if away:
        here = dataclasses.replace(here, active_at=LATER - 26 * DAY)
    refusal = rebook_refused(session.id, here, LATER)
    if used:
        assert refusal == "done"
        return
    closed = room_reasons(room, here.active_at, here.policy, LATER)
    available = is_available(here.schedule, LATER)
    where = place(session, room=room, provider_available=available, another_room=another)
    if closed and not reopens(where, 30, "video"):
        assert refusal == closed[0].code
        return
    kind = SessionKind(30, "video")
    told = [
        [*slot_reasons(here, moment, kind, TakenTime(), LATER), *pay_reasons(here, moment, kind, LATER)]
        for moment in (LATER + HOUR + day * DAY for day in range(60))
    ]
    assert (refusal is None) == any(not reasons for reasons in told)
    assert refusal is None or any(reasons[0].code == refusal for reasons in told)


@pytest.mark.rule("MISS-4")
def test_a_room_opens_again_with_the_reservation_and_with_nothing_before() -> None:
    asked = done(
        request_session("id", booking_request(LATER + DAY), CLOSED, "member", STANDARD, LATER, reopens_room=True)
    )
    half = done(answers.slot_held(asked, LATER))
    both = done(answers.credit_held(half, False, LATER))
    assert [reopens_room_now(*pair) for pair in ((asked, half), (half, both), (both, both))] == [False, True, False]
    rejected = done(answers.slot_refused(done(answers.credit_held(asked, False, LATER)), [], LATER))
    assert rejected.status == "rejected"
    assert not reopens_room_now(asked, rejected)
    plain = done(answers.credit_held(done(answers.slot_held(requested(), NOW)), False, NOW))
    assert not reopens_room_now(requested(), plain), "its room was open"
    opened = reopened(CLOSED, LATER, STANDARD, LATER)
    assert opened is not None
    assert (opened[0].status, opened[0].last_activity_at, opened[1].restarted_at) == ("active", LATER, LATER)
    assert reopened(ROOM, LATER, STANDARD, LATER) is None, "open already"
    assert reopened(ROOM, LATER - 26 * DAY, STANDARD, LATER) is not None, "its member was away"
    assert reopened(close_room(ROOM, LATER, "member")[0], LATER, STANDARD, LATER) is None, "closed meanwhile"


def coverage(starts_on: date = TODAY, ends_on: date | None = None, **other: Any) -> list[CoveragePeriod]:
    terms: dict[str, Any] = {"lengths": (45,), "psychiatry_lengths": (20,), "live_credits": 6, **other}
    plan = Plan("eap-6", "eap", modalities=("video",), **terms)
    return coverage_periods([PublishedEnrolment(plan, starts_on, ends_on, "UTC", 1)])


@pytest.mark.rule("ROOM-1", "MISS-4")
@pytest.mark.parametrize(
    ("lot", "counts"),
    [
        (PublishedLot("lot", 1, 45, None), True),
        (PublishedLot("lot", 1, None, None), True),
        (PublishedLot("lot", 1, 30, None), False),
        (PublishedLot("lot", 1, 20, None), False),
        (PublishedLot("lot", 0, 45, None), False),
        (PublishedLot("lot", 1, 45, NOW), False),
        (PublishedLot("lot", 1, 30, NOW + DAY, made_for_minutes=30), True),
        (PublishedLot("lot", 1, 30, NOW, made_for_minutes=30), False),
    ],
)
def test_sessions_are_left_while_a_credit_fits_the_plan_or_was_made_good(lot: PublishedLot, counts: bool) -> None:
    assert sessions_left(coverage(), [lot], "therapy", NOW) is counts


@pytest.mark.rule("ROOM-1")
def test_what_no_coverage_takes_any_more_is_no_session_that_is_left() -> None:
    lot = PublishedLot("lot", 1, None, NOW + 30 * DAY)
    over = coverage(starts_on=NOW.date() - 9 * DAY, ends_on=NOW.date() - DAY)
    assert not sessions_left(over, [lot], "therapy", NOW)
    assert not sessions_left([], [lot], "therapy", NOW)
    assert sessions_left(coverage(starts_on=NOW.date() + 9 * DAY), [lot], "therapy", NOW)
    assert not sessions_left(coverage(starts_on=NOW.date() + 40 * DAY), [lot], "therapy", NOW)
    assert sessions_left(coverage(), [PublishedLot("lot", 1, 20, None)], "psychiatry", NOW)
    assert not sessions_left(coverage(psychiatry_lengths=()), [lot], "psychiatry", NOW)


@pytest.mark.rule("MISS-4", "CANC-1")
def test_a_member_who_waited_for_nobody_at_the_rebooked_session_keeps_the_right() -> None:
    start = LATER + 10 * DAY
    waits = done(join(confirmed(start, LATER), "member", start))
    gone = done(cancel(waits, "member", False, start + MINUTE))
    assert (gone.status, gone.given_up) == ("cancelled", False)
