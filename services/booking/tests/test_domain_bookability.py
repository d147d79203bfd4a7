"""What bookability finds out about time and coverage agrees with itself, whatever the plans, lots, hours and sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.bookability import (
    Kind,
    MemberContext,
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
from makegood_booking.domain.coverage import Enrolment, Lot, covering, latest
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.remedies import RemedyContext, remedy
from makegood_booking.domain.rooms import is_available, room_reasons
from makegood_calendar.hours import Hours
from makegood_calendar.slot_rules import Schedule
from makegood_contracts.reasons import ReasonCode

from .examples import MINUTE, NOW, ROOM

DAY = timedelta(days=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
LENGTHS = (30, 45)
MODALITIES = ("video", "chat", "in_person")

days = st.integers(-40, 60).map(lambda n: NOW.date() + n * DAY)
soon = st.integers(-3 * 96, 12 * 96).map(lambda n: NOW.replace(minute=0) + n * 15 * MINUTE)


@st.composite
def enrolments(draw: st.DrawFn) -> list[Enrolment]:
    found = []
    for sequence in range(1, draw(st.integers(0, 3)) + 1):
        starts_on = draw(days)
        lasts = draw(st.none() | st.integers(0, 60))
        ends_on = None if lasts is None else starts_on + lasts * DAY
        found.append(
            Enrolment(
                str(sequence),
                "anna",
                "plan",
                "eap",
                starts_on,
                ends_on,
                draw(st.sampled_from(ZONES)),
                draw(st.lists(st.sampled_from(LENGTHS), unique=True)),
                draw(st.lists(st.sampled_from(LENGTHS), unique=True)),
                draw(st.lists(st.sampled_from(MODALITIES), unique=True)),
                draw(st.sampled_from([None, 4])),
                False,
                sequence,
            )
        )
    return found


lots = st.lists(
    st.builds(
        Lot,
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


kinds = st.builds(Kind, st.sampled_from(LENGTHS), st.sampled_from(MODALITIES))
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
@given(enrolments(), lots, st.none() | schedules(), kinds, soon)
def test_a_moment_is_paid_for_exactly_where_no_reason_says_otherwise(
    plans: list[Enrolment], left: list[Lot], schedule: Schedule | None, kind: Kind, moment: datetime
) -> None:
    if moment < NOW:
        return
    member = context(enrolments=plans, lots=left, schedule=schedule)
    spans = list(payable(member, kind, NOW, NOW + 30 * DAY))
    assert any(start <= moment < end for start, end in spans) == (pay_reasons(member, moment, kind, NOW) == ())
    owing = replace(member, owes=True)
    assert [reason.code for reason in pay_reasons(owing, moment, kind, NOW)][:1] == ["outstanding-charges"]


@pytest.mark.rule("BOOK-8", "AVAIL-2")
@given(schedules(), kinds, calendars, soon)
def test_a_start_is_free_exactly_where_no_reason_says_otherwise(
    schedule: Schedule, kind: Kind, taken: TakenTime, moment: datetime
) -> None:
    here = context(schedule=schedule)
    span = startable(here, kind, NOW)
    starts = set() if span is None else set(free(here, kind, span, taken, NOW))
    candidates = {moment, *list(starts)[:20], *schedule.hours.grid(moment, moment + DAY, schedule.step)}
    for start in candidates:
        if start > NOW:
            assert (start in starts) == (slot_reasons(here, start, kind, taken, NOW) == ()), start


@dataclass
class Agreed:
    """An enrolment in the book of credits: what it is, and until when it counts."""

    enrolment: Enrolment
    until: datetime | None


@pytest.mark.rule("PLAN-1")
@given(enrolments(), st.lists(st.tuples(st.integers(0, 2), st.none() | days), max_size=3), soon)
def test_coverage_is_what_one_enrolment_after_the_other_makes_of_it(
    plans: list[Enrolment], again: list[tuple[int, date | None]], moment: datetime
) -> None:
    """As credits does it: each enrolment ends every other where it begins; one taken up again has its agreed end anew."""
    book: dict[str, Agreed] = {}
    told: dict[str, Enrolment] = {}

    def enrol(enrolment: Enrolment) -> None:
        for each in book.values():
            if each.enrolment.id != enrolment.id and (each.until is None or each.until > enrolment.covers_from):
                each.until = enrolment.covers_from
        book[enrolment.id] = Agreed(enrolment, enrolment.agreed_until)
        told[enrolment.id] = enrolment

    for enrolment in plans:
        enrol(enrolment)
    sequence = len(plans)
    for number, ends_on in again:
        if number < len(plans) and (ends_on is None or ends_on >= plans[number].starts_on):
            sequence += 1
            enrol(replace(plans[number], ends_on=ends_on, sequence=sequence))
    wanted = [
        each.enrolment.id
        for each in book.values()
        if each.enrolment.covers_from <= moment and (each.until is None or moment < each.until)
    ]
    found = covering(list(told.values()), moment)
    assert ([found.id] if found else []) == wanted


@pytest.mark.rule("BOOK-8")
@given(enrolments(), st.none() | schedules(), st.sampled_from([None, *LENGTHS]), st.sampled_from([None, *MODALITIES]))
def test_what_is_asked_about_is_kept_and_the_rest_is_of_plan_or_provider(
    plans: list[Enrolment], schedule: Schedule | None, length: int | None, modality: Any
) -> None:
    member = context(enrolments=plans, schedule=schedule)
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
    base = Enrolment("1", "anna", "a", "eap", date(2026, 10, 1), date(2026, 10, 31), "UTC", [], [], [], 6, False, 1)
    later = replace(base, id="2", starts_on=date(2026, 12, 1), ends_on=None, sequence=2)
    assert [latest(plans, NOW) for plans in ([], [later, base], [later])] == [None, base, later]
    assert latest([base, later], datetime(2026, 12, 1, tzinfo=UTC)) == later
