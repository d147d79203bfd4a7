"""When a plan covers a member, and when its credits come and lapse. Days are those of the enrolment's time zone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from makegood_credits.domain.plans import PLANS, Plan


def start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a zone, in UTC. A midnight that is skipped is read as RFC 5545 §3.3.5 says."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def local_day(moment: datetime, time_zone: str) -> date:
    """The day on which an instant falls in a zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of coverage with its own credits: [starts_at, ends_at); an open end where coverage has none."""

    number: int
    first_day: date
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's coverage by one plan, as agreed from `starts_on` to `ends_on` (inclusive).

    It counts in [covers_from, covers_until): a later enrolment ends it sooner than agreed, even before it began.
    `next_period` is the number of the first period not granted yet, `next_grant` when that is due; None: nothing comes.
    """

    id: str
    member_id: str
    plan_id: str
    starts_on: date
    ends_on: date | None
    time_zone: str
    covers_from: datetime
    covers_until: datetime | None
    next_period: int = 0
    next_grant: datetime | None = None
    replaced_at: datetime | None = None
    """When another one took its place last, or was agreed to; None where it goes on as agreed."""
    resumed_on: date | None = None
    """The day from which on it was resumed last, where the request named that and not `starts_on`."""

    @property
    def plan(self) -> Plan:
        return PLANS[self.plan_id]

    def counts_at(self, moment: datetime) -> bool:
        """Whether it covers the member then."""
        return self.covers_from <= moment and (self.covers_until is None or moment < self.covers_until)

    def period(self, number: int) -> Period | None:
        """The period of that number, counted from `starts_on`; None after the end of coverage.

        Each is counted from the first day anew, so that the 31st comes back after a short month.
        """
        plan = self.plan
        if number and plan.months is None:
            return None
        first_day = plan.period_start(self.starts_on, number)
        starts_at = start_of_day(first_day, self.time_zone)
        ends_at = self.covers_until
        if ends_at is not None and starts_at >= ends_at:
            return None
        if plan.months is not None:
            next_start = start_of_day(plan.period_start(self.starts_on, number + 1), self.time_zone)
            ends_at = next_start if ends_at is None else min(ends_at, next_start)
        return Period(number, first_day, starts_at, ends_at)

    def current(self, now: datetime) -> int:
        """The number of the period that `now` lies in; 0 before the first."""
        months = self.plan.months
        if months is None:
            return 0
        today = local_day(now, self.time_zone)
        elapsed = (today.year - self.starts_on.year) * 12 + today.month - self.starts_on.month
        number = max(0, elapsed // months)
        return number - 1 if number and self.plan.period_start(self.starts_on, number) > today else number

    def awaiting(self, number: int) -> Enrolment:
        """The same, with the grant of that period as the next to come, if there is one."""
        period = self.period(number) if self.plan.live_credits else None
        return replace(self, next_period=number, next_grant=period.starts_at if period else None)


@dataclass(frozen=True, slots=True)
class NextCredits:
    """Credits that the plan gives by itself, and from when on they can be used (PLAN-1)."""

    available_from: datetime
    credits: int


def next_credits(enrolments: Iterable[Enrolment], moment: datetime) -> NextCredits | None:
    """The first credits to come that have not lapsed by that moment; None: none are to come.

    A session that lies in a later period is booked with the credits of its own period (CRED-2).
    """
    coming = (
        (period.starts_at, each.plan.live_credits)
        for each in enrolments
        if each.next_grant is not None
        and (period := each.period(max(each.next_period, each.current(moment)))) is not None
        and (period.ends_at is None or period.ends_at > moment)
    )
    first = min(coming, default=None)
    return None if first is None else NextCredits(first[0], first[1] or 0)


def day_before(day: date) -> date:
    """The day before."""
    return day - timedelta(days=1)


def end_of(ends_on: date | None, time_zone: str) -> datetime | None:
    """The first instant after the last day; None without one."""
    return None if ends_on is None else start_of_day(ends_on + timedelta(days=1), time_zone)


def spoken_of(enrolments: Iterable[Enrolment], now: datetime) -> Enrolment | None:
    """BOOK-3: the plan that a member is on: the one that counts now, else the next to come, else the last there was."""
    counting = sorted(
        (each for each in enrolments if each.covers_until is None or each.covers_from < each.covers_until),
        key=lambda each: each.covers_from,
    )
    present = covering(counting, now) or next((each for each in counting if each.covers_from > now), None)
    return present or (counting[-1] if counting else None)


def covers_throughout(enrolments: Iterable[Enrolment], plan_id: str, start: datetime, until: datetime) -> bool:
    """Whether the plan covers every instant of [start, until), be it by several enrolments."""
    moment = start
    for each in sorted(enrolments, key=lambda each: each.covers_from):
        if each.plan_id == plan_id and each.counts_at(moment):
            if each.covers_until is None or each.covers_until >= until:
                return True
            moment = each.covers_until
    return False


def covering(enrolments: Iterable[Enrolment], moment: datetime) -> Enrolment | None:
    """The enrolment that covers an instant; they never overlap."""
    for enrolment in enrolments:
        if enrolment.counts_at(moment):
            return enrolment
    return None
