"""What booking knows of members' plans and credits, learnt from the topics of credits."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from makegood_contracts.events import Modality, PlanKind, Specialty

from makegood_booking.domain.money import Money
from makegood_booking.domain.time import zone


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's coverage by one plan (PLAN-1). Lengths are minutes; `live_credits` None: a co-pay is asked instead.

    `sequence` counts the member's enrolments: each ends the coverage of all earlier ones where it begins.
    """

    id: str
    member_id: str
    plan_id: str
    plan_kind: PlanKind
    starts_on: date
    ends_on: date | None
    time_zone: str
    lengths: Sequence[int]
    psychiatry_lengths: Sequence[int]
    modalities: Sequence[Modality]
    live_credits: int | None
    purchasable: bool
    sequence: int
    months: int | None = None
    """After how many months its credits come anew; None: they come once."""
    co_pay_amount: Money | None = None
    """None where it asks for none, or was told by an earlier release."""

    @property
    def covers_from(self) -> datetime:
        return _start_of_day(self.starts_on, self.time_zone)

    @property
    def agreed_until(self) -> datetime | None:
        """The first instant after the last day, whatever came after; None where no end was agreed."""
        return None if self.ends_on is None else _start_of_day(self.ends_on + timedelta(days=1), self.time_zone)

    @property
    def co_pay(self) -> bool:
        return self.live_credits is None

    def next_grant(self, moment: datetime, now: datetime) -> datetime | None:
        """PLAN-1: when the first credits to come arrive that have not lapsed by that moment; None: none are to come. How long
        it counts is not looked at."""
        if not self.live_credits:
            return None
        if self.months is None:
            return self.covers_from if self.covers_from > now else None
        today = now.astimezone(zone(self.time_zone)).date()
        passed = (today.year - self.starts_on.year) * 12 + today.month - self.starts_on.month
        number = max(0, passed // self.months)
        while self._period_start(number) <= now or self._period_start(number + 1) <= moment:
            number += 1
        return self._period_start(number)

    def _period_start(self, number: int) -> datetime:
        return _start_of_day(self._first_day(number), self.time_zone)

    def _first_day(self, number: int) -> date:
        """Of the period of that number. A day that its month lacks becomes the month's last."""
        months = self.starts_on.year * 12 + self.starts_on.month - 1 + (self.months or 0) * number
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(self.starts_on.day, monthrange(year, month)[1]))

    @property
    def has_live_sessions(self) -> bool:
        return bool(self.lengths or self.psychiatry_lengths)

    def lengths_for(self, specialty: Specialty) -> Sequence[int]:
        """The lengths of sessions with a provider of this specialty: psychiatry has its own (PLAN-1)."""
        return self.psychiatry_lengths if specialty == "psychiatry" else self.lengths


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits that lapse together. `length_minutes` None: for each length of the plan."""

    id: str
    available: int
    length_minutes: int | None
    expires_at: datetime | None
    made_for_minutes: int | None = None
    """MISS-4: of a credit that was made good, the length that it pays for whatever the plan is by then."""

    def makes_good(self, starts_at: datetime, length_minutes: int) -> bool:
        """MISS-4: whether a credit of this lot was made good for that length: it needs no plan."""
        return self.made_for_minutes == length_minutes and self.stands(starts_at)

    def pays(self, starts_at: datetime, length_minutes: int) -> bool:
        """CRED-2: whether a session of that length at that time can take a credit of this lot."""
        return self.stands(starts_at) and self.length_minutes in (None, length_minutes)

    def stands(self, starts_at: datetime) -> bool:
        return self.available > 0 and (self.expires_at is None or self.expires_at > starts_at)


@dataclass(frozen=True, slots=True)
class NextCredits:
    """So many credits come then."""

    available_from: datetime
    credits: int


@dataclass(frozen=True, slots=True)
class CoveragePeriod:
    """An enrolment and when it counts: [covers_from, covers_until), an open end where none is agreed."""

    enrolment: Enrolment
    covers_from: datetime
    covers_until: datetime | None

    def covers(self, moment: datetime) -> bool:
        return self.covers_from <= moment and (self.covers_until is None or moment < self.covers_until)


def coverage_periods(enrolments: Collection[Enrolment]) -> list[CoveragePeriod]:
    """PLAN-1: when each enrolment of a member counts, in their order: until its agreed end, or a later one's beginning."""
    found = []
    for each in enrolments:
        ends = [later.covers_from for later in enrolments if later.sequence > each.sequence]
        if each.agreed_until is not None:
            ends.append(each.agreed_until)
        until = min(ends, default=None)
        if until is None or each.covers_from < until:
            found.append(CoveragePeriod(each, each.covers_from, until))
    return sorted(found, key=lambda period: period.covers_from)


def covering(enrolments: Collection[Enrolment], moment: datetime) -> Enrolment | None:
    """The enrolment of a member that covers an instant; at most one does."""
    return _covering(coverage_periods(enrolments), moment)


def latest(enrolments: Collection[Enrolment], now: datetime) -> Enrolment | None:
    """The member's plan as people speak of it: the present one, else the last there was, else the first to come."""
    found = coverage_periods(enrolments)
    begun = [period for period in found if period.covers_from <= now]
    return (begun[-1] if begun else found[0]).enrolment if found else None


def sessions_left(
    enrolments: Collection[Enrolment], lots: Collection[Lot], specialty: Specialty, now: datetime
) -> bool:
    """ROOM-1: whether some session can be booked with the member's credits: on the plan that covers them, or is to come, with a
    provider of this specialty; or with a credit that was made good, whatever the plan (MISS-4)."""
    if any(lot.made_for_minutes is not None and lot.stands(now) for lot in lots):
        return True
    return any(
        lot.pays(max(now, period.covers_from), length)
        for period in coverage_periods(enrolments)
        if period.covers_until is None or period.covers_until > now
        for length in period.enrolment.lengths_for(specialty)
        for lot in lots
    )


def next_credits(enrolments: Collection[Enrolment], moment: datetime, now: datetime) -> NextCredits | None:
    """The first credits to come that have not lapsed by that moment; None: none are to come. A session in a later period is
    booked with the credits of its own period (CRED-2)."""
    coming = [
        NextCredits(grant, period.enrolment.live_credits)
        for period in coverage_periods(enrolments)
        if period.enrolment.live_credits
        and (grant := period.enrolment.next_grant(moment, now)) is not None
        and (period.covers_until is None or max(grant, moment) < period.covers_until)
    ]
    return min(coming, key=lambda each: each.available_from, default=None)


def _covering(found: Iterable[CoveragePeriod], moment: datetime) -> Enrolment | None:
    return next((period.enrolment for period in found if period.covers(moment)), None)


def _start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a zone. A midnight that is skipped is read as RFC 5545 §3.3.5 says."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(time_zone)).astimezone(UTC)
