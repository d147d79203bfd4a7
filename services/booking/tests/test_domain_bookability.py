"""What bookability finds out about time and coverage agrees with itself, whatever the plans, lots, hours and sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.bookability import (
    MemberContext,
    SessionKind,
    TakenTime,
    free,
    kind_in_question,
    nothing_free,
    offered,
    pay_reasons,
    payable,
    slot_reasons,
    startable,
)
from makegood_booking.domain.bookability import Question as Asked
from makegood_booking.domain.coverage import latest
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.remedies import RemedyContext, remedy
from makegood_booking.domain.rooms import is_available, room_reasons
from makegood_calendar.hours import Hours
from makegood_calendar.slot_rules import Schedule
from makegood_contracts.reasons import ReasonCode
from makegood_plans.coverage import CoveragePeriod, covering
from makegood_plans.funding import not_in_plan
from makegood_plans.plans import Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods

from .examples import MINUTE, NOW, ROOM

DAY = timedelta(days=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
LENGTHS = (30, 45)
MODALITIES = ("video", "chat", "in_person")

days = st.integers(-40, 60).map(lambda n: NOW.date() + n * DAY)
soon = st.integers(-3 * 96, 12 * 96).map(lambda n: NOW.replace(minute=0) + n * 15 * MINUTE)


@st.composite
def coverage(draw: st.DrawFn) -> list[CoveragePeriod]:
    found = []
    for sequence in range(1, draw(st.integers(0, 3)) + 1):
        starts_on = draw(days)
        lasts = draw(st.none() | st.integers(0, 60))
        plan = Plan(
            "plan",
            "eap",
            lengths=tuple(draw(st.lists(st.sampled_from(LENGTHS), unique=True))),
            modalities=tuple(draw(st.lists(st.sampled_from(MODALITIES), unique=True))),
            live_credits=draw(st.sampled_from([None, 4])),
            psychiatry_lengths=tuple(draw(st.lists(st.sampled_from(LENGTHS), unique=True))),
        )
        ends_on = None if lasts is None else starts_on + lasts * DAY
        found.append(PublishedEnrolment(plan, starts_on, ends_on, draw(st.sampled_from(ZONES)), sequence))
    return coverage_periods(found)


lots = st.lists(
    st.builds(
        PublishedLot,
        id=st.just("lot"),
        available=st.integers(0, 2),
        length_minutes=st.sampled_from([None, *LENGTHS]),
        expires_at=st.none() | soon,
        made_for_minutes=st.sampled_from([None, None, *LENGTHS]),
    ),
    max_size=3,
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    def hours_range() -> Any:
        start = draw(st.integers(0, 90)) * 15
        return start, min(1440, start + draw(st.integers(1, 40)) * 15)

    weekly = tuple((hours_range(),) if draw(st.booleans()) else () for _ in range(7))
    return Schedule(
        hours=Hours(ZoneInfo(draw(st.sampled_from(ZONES))), weekly),
        step=timedelta(minutes=draw(st.sampled_from([15, 20, 60]))),
        buffer_before=timedelta(minutes=draw(st.sampled_from([0, 10]))),
        buffer_after=timedelta(minutes=draw(st.sampled_from([0, 15]))),
        minimum_notice=timedelta(hours=draw(st.sampled_from([0, 30]))),
        horizon=timedelta(days=draw(st.sampled_from([2, 14]))),
        lengths={length: frozenset(["video", "in_person"]) for length in draw(st.sets(st.sampled_from(LENGTHS)))},
        specialty=draw(st.sampled_from(["therapy", "psychiatry"])),
    )


def context(**what: Any) -> MemberContext:
    return MemberContext(ROOM, NOW, STANDARD, **what)


kinds = st.builds(SessionKind, st.sampled_from(LENGTHS), st.sampled_from(MODALITIES))
calendars = st.builds(
    TakenTime,
    *(
        st.lists(
            st.tuples(soon, st.integers(1, 12)).map(lambda span: (span[0], span[0] + span[1] * 15 * MINUTE)), max_size=4
        )
        for _ in range(3)
    ),
)


@pytest.mark.rule("BOOK-7")
@given(coverage(), lots, st.none() | schedules(), kinds, soon)
def test_a_moment_is_paid_for_exactly_where_no_reason_says_otherwise(
    plans: list[CoveragePeriod],
    left: list[PublishedLot],
    schedule: Schedule | None,
    kind: SessionKind,
    moment: datetime,
) -> None:
    if moment < NOW:
        return
    member = context(coverage=plans, lots=left, schedule=schedule)
    spans = list(payable(member, kind, NOW, NOW + 30 * DAY))
    assert any(start <= moment < end for start, end in spans) == (pay_reasons(member, moment, kind, NOW) == ())
    owing = replace(member, owes=True)
    told = [reason.code for reason in pay_reasons(owing, moment, kind, NOW)]
    of_the_plan = [reason.code for reason in not_in_plan(covering(plans, moment), member.session(moment, kind))]
    others = [reason.code for reason in pay_reasons(member, moment, kind, NOW)]
    place = len(of_the_plan) if others else 0
    assert told == [*others[:place], "outstanding-charges", *others[place:]]


@pytest.mark.rule("BOOK-8", "AVAIL-2")
@given(schedules(), kinds, calendars, soon)
def test_a_start_is_free_exactly_where_no_reason_says_otherwise(
    schedule: Schedule, kind: SessionKind, taken: TakenTime, moment: datetime
) -> None:
    here = context(schedule=schedule)
    span = startable(here, kind, NOW)
    starts = set() if span is None else set(free(here, kind, span, taken, NOW))
    candidates = {moment, *list(starts)[:20], *schedule.hours.grid(moment, moment + DAY, schedule.step)}
    for start in candidates:
        if start > NOW:
            assert (start in starts) == (slot_reasons(here, start, kind, taken, NOW) == ()), start


@pytest.mark.rule("BOOK-8")
@given(coverage(), st.none() | schedules(), st.sampled_from([None, *LENGTHS]), st.sampled_from([None, *MODALITIES]))
def test_what_is_asked_about_is_kept_and_the_rest_is_of_plan_or_provider(
    plans: list[CoveragePeriod], schedule: Schedule | None, length: int | None, modality: Any
) -> None:
    member = context(coverage=plans, schedule=schedule)
    kind = kind_in_question(member, Asked(None, length, modality), NOW)
    if kind is not None:
        assert length in (None, kind.length_minutes)
        assert modality in (None, kind.modality)
        if not offered(member, kind):
            assert nothing_free(member, kind).code == "provider-unavailable"
    else:
        assert length is None or modality is None


@pytest.mark.rule("BOOK-8")
@pytest.mark.parametrize("plan_kind", [None, "out_of_pocket", "eap", "health_insurance", "sponsored"])
def test_every_reason_there_is_has_a_remedy(plan_kind: Any) -> None:
    for code in get_args(ReasonCode):
        for available in (True, False):
            at = RemedyContext("room", "anna", "dr-lee", plan_kind, provider_available=available)
            helps = remedy(code, at)
            assert helps.href is None or helps.href.startswith("/v1/")


@pytest.mark.rule("ROOM-2")
def test_a_provider_is_available_with_hours_to_come_and_kinds_of_sessions() -> None:
    nothing: Any = ((),) * 7
    hours = Hours(ZoneInfo("UTC"), nothing)
    bare = Schedule(hours, 15 * MINUTE, 0 * DAY, 0 * DAY, 0 * DAY, 30 * DAY, {30: frozenset(["video"])})
    assert not is_available(None, NOW)
    assert not is_available(bare, NOW)
    for day, wanted in ((NOW.date(), True), (NOW.date() - DAY, False)):
        once = replace(bare, hours=Hours(ZoneInfo("UTC"), nothing, {day: ((540, 600),)}))
        assert is_available(once, NOW) is wanted
    weekly = replace(bare, hours=Hours(ZoneInfo("UTC"), (((540, 600),), *nothing[1:])))
    assert is_available(weekly, NOW)
    assert not is_available(replace(weekly, lengths={}), NOW)


@pytest.mark.rule("BOOK-7")
def test_a_room_must_be_open_and_its_member_active_within_25_days() -> None:
    def codes(**room: Any) -> list[str]:
        return [reason.code for reason in room_reasons(replace(ROOM, **room), NOW, STANDARD, NOW + away)]

    away = 25 * DAY
    assert (codes(), codes(status="closed")) == ([], ["room-closed"])
    away += timedelta(microseconds=1)
    assert (codes(), codes(status="closed")) == (["room-inactive"], ["room-closed", "room-inactive"])


def test_the_plan_people_speak_of_is_the_present_the_last_or_the_first_to_come() -> None:
    plan = Plan("a", "eap", (), (), 6)
    base = PublishedEnrolment(plan, date(2026, 10, 1), date(2026, 10, 31), "UTC", 1)
    later = replace(base, starts_on=date(2026, 12, 1), ends_on=None, sequence=2)
    first, last = coverage_periods([later, base])
    assert [latest(plans, NOW) for plans in ([], [first, last], [last])] == [None, first, last]
    assert latest([first, last], datetime(2026, 12, 1, tzinfo=UTC)) == last
