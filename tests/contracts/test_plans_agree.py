"""BOOK-8: what booking foretells about paying is what credits decides, whatever happened to the member's plans and credits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.bookability import MemberContext, SessionKind, costs, pay_reasons, payable
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.rooms import Room
from makegood_calendar.hours import Hours
from makegood_calendar.slot_rules import Schedule
from makegood_contracts.events import Modality, Specialty
from makegood_contracts.ids import new_id
from makegood_credits.domain.adjusting import adjust
from makegood_credits.domain.book import Book
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.holding import HoldRefusal, HoldRequest, hold
from makegood_credits.domain.plans import PLANS
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LENGTHS = (30, 45, 60)
NONE = timedelta()


@dataclass
class Member:
    """A member's book in credits, and what credits has published of the enrolments."""

    book: Book = field(default_factory=lambda: Book("anna"))
    now: datetime = NOW
    published: dict[str, PublishedEnrolment] = field(default_factory=dict)
    sequence: int = 0

    def enrol(self, plan_id: str, starts_on: date, days: int | None, time_zone: str | None) -> None:
        ends_on = None if days is None else starts_on + timedelta(days=days)
        result = enrol(self.book, EnrolmentRequest(plan_id, starts_on, ends_on, time_zone), self.now)
        if result.changed:
            self.sequence += 1
            each = result.enrolment
            self.published[each.id] = PublishedEnrolment(
                each.plan, each.starts_on, each.ends_on, each.time_zone, self.sequence
            )

    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        catch_up(self.book, self.now)

    def adjust(self, amount: int, length: int | None) -> None:
        adjust(self.book, amount, length_minutes=length, reason="r", made_by="support", now=self.now)

    def make_good(self, length: int, days: int) -> None:
        lot = self.book.open_lot(
            "make_good", length, self.now + timedelta(days=days), made_for_minutes=length, made_under="eap-6"
        )
        lot.available, self.book.available = 1, self.book.available + 1
        self.book.due_by(lot.expires_at)

    def book_session(self, hours: int, length: int) -> None:
        hold(
            self.book,
            self.request(self.now + timedelta(hours=hours), SessionKind(length, "video"), "therapy"),
            self.now,
        )

    def request(self, starts_at: datetime, kind: SessionKind, specialty: Specialty) -> HoldRequest:
        return HoldRequest(
            session_id=new_id(),
            provider_id="dr-lee",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=kind.length_minutes),
            length_minutes=kind.length_minutes,
            modality=kind.modality,
            specialty=specialty,
            booked_by="member",
            hold_until=self.now + timedelta(minutes=15),
        )

    def as_booking_knows(self, specialty: Specialty) -> MemberContext:
        hours = Hours(ZoneInfo("UTC"), ((), (), (), (), (), (), ()))
        return MemberContext(
            Room("room", "anna", "dr-lee", "active", NOW, NOW, 1),
            self.now,
            STANDARD,
            coverage=coverage_periods(list(self.published.values())),
            lots=[
                PublishedLot(lot.id, lot.available, lot.length_minutes, lot.expires_at, lot.made_for_minutes)
                for lot in self.book.lots.values()
            ],
            owes=bool(self.book.overdue),
            schedule=Schedule(hours, NONE, NONE, NONE, NONE, NONE, {}, specialty),
        )


_days = st.integers(-50, 50).map(lambda days: NOW.date() + timedelta(days=days))
_steps = st.one_of(
    st.tuples(
        st.just("enrol"),
        st.sampled_from(sorted(PLANS)),
        _days,
        st.none() | st.integers(0, 60),
        st.sampled_from([None, "UTC", "America/New_York", "Pacific/Auckland"]),
    ),
    st.tuples(st.just("wait"), st.integers(0, 900)),
    st.tuples(st.just("adjust"), st.sampled_from([-3, -1, 1, 4]), st.sampled_from([None, *LENGTHS])),
    st.tuples(st.just("make_good"), st.sampled_from(LENGTHS), st.integers(1, 40)),
    st.tuples(st.just("book_session"), st.integers(1, 900), st.sampled_from(LENGTHS)),
)
_kinds = st.builds(SessionKind, st.sampled_from(LENGTHS), st.sampled_from(get_args(Modality)))


@pytest.mark.rule("BOOK-4", "BOOK-7", "BOOK-8")
@given(
    st.lists(_steps, max_size=8), st.integers(0, 2), st.integers(1, 1500), _kinds, st.sampled_from(get_args(Specialty))
)
def test_what_booking_foretells_is_what_credits_decides(
    steps: list[tuple[Any, ...]], overdue: int, hours: int, kind: SessionKind, specialty: Specialty
) -> None:
    member = Member()
    for name, *arguments in steps:
        getattr(member, name)(*arguments)
    member.wait(0)
    member.book.overdue = overdue
    starts_at = member.now + timedelta(hours=hours)
    known = member.as_booking_knows(specialty)
    foretold = pay_reasons(known, starts_at, kind, member.now)
    spans = list(payable(known, kind, member.now, starts_at + timedelta(days=1)))
    costing = costs(known, starts_at, kind)
    decided = hold(member.book, member.request(starts_at, kind, specialty), member.now)
    if isinstance(decided, HoldRefusal):
        assert foretold == decided.reasons
    else:
        assert foretold == ()
        assert costing is not None
        assert (costing.credit is None) == (decided.lot_id is None)
    only_owing = [reason.code for reason in foretold] == ["outstanding-charges"]
    assert any(start <= starts_at < end for start, end in spans) == (not foretold or only_owing)
