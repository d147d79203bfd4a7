"""When a plan covers a member, and when its credits arrive (PLAN-1). Days are those of the coverage's time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

from makegood_plans.plans import Plan


@lru_cache(maxsize=4096)
def start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a zone, in UTC. A midnight that is skipped is read as RFC 5545 §3.3.5 says."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def local_day(moment: datetime, time_zone: str) -> date:
    """The day on which an instant falls in a zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def end_of(ends_on: date | None, time_zone: str) -> datetime | None:
    """The first instant after the last day. None if there is no last day."""
    return None if ends_on is None else start_of_day(ends_on + timedelta(days=1), time_zone)


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """A part of coverage with its own credits: [starts_at, ends_at). `ends_at` None: coverage has no end."""

    number: int
    first_day: date
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class CoveragePeriod:
    """A member's coverage by one plan, agreed from `starts_on` to `ends_on`, both inclusive.

    It counts in [covers_from, covers_until): a later enrolment can end it sooner than agreed, even before it begins.
    """

    plan: Plan
    starts_on: date
    ends_on: date | None
    time_zone: str
    covers_from: datetime
    covers_until: datetime | None

    def covers(self, moment: datetime) -> bool:
        """Whether it covers the member at this moment."""
        return self.covers_from <= moment and (self.covers_until is None or moment < self.covers_until)

    def billing_period(self, number: int) -> BillingPeriod | None:
        """The billing period with this number, counted from 0 at `starts_on`. None after the end of coverage.

        Each is counted from the first day, so that the 31st comes back after a short month.
        """
        months = self.plan.months
        if number and months is None:
            return None
        first_day = self._first_day(number)
        starts_at = start_of_day(first_day, self.time_zone)
        ends_at = self.covers_until
        if ends_at is not None and starts_at >= ends_at:
            return None
        if months is not None:
            next_start = start_of_day(self._first_day(number + 1), self.time_zone)
            ends_at = next_start if ends_at is None else min(ends_at, next_start)
        return BillingPeriod(number, first_day, starts_at, ends_at)

    def number_at(self, moment: datetime) -> int:
        """The number of the billing period in which the moment lies; 0 before the first."""
        months = self.plan.months
        if months is None:
            return 0
        day = local_day(moment, self.time_zone)
        elapsed = (day.year - self.starts_on.year) * 12 + day.month - self.starts_on.month
        number = max(0, elapsed // months)
        return number - 1 if number and self._first_day(number) > day else number

    def next_number(self, now: datetime) -> int | None:
        """The number of the first billing period whose credits have not arrived yet. None: no more credits will arrive."""
        if not self.plan.live_credits:
            return None
        return 0 if self.covers_from > now else self.number_at(now) + 1

    def _first_day(self, number: int) -> date:
        """The first day of a billing period. If its month lacks that day, the month's last day."""
        months = self.starts_on.year * 12 + self.starts_on.month - 1 + (self.plan.months or 0) * number
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(self.starts_on.day, monthrange(year, month)[1]))


CoverageT = TypeVar("CoverageT", bound=CoveragePeriod)


def covering(coverage: Iterable[CoverageT], moment: datetime) -> CoverageT | None:
    """The coverage that counts at a moment. Periods of one member never overlap."""
    for each in coverage:
        if each.covers(moment):
            return each
    return None


@dataclass(frozen=True, slots=True)
class NextCredits:
    """The credits that the plan grants next, and from when they can be used."""

    available_from: datetime
    credits: int


def next_credits(coverage: Iterable[CoveragePeriod], moment: datetime, now: datetime) -> NextCredits | None:
    """The first future credits that pay for a session at `moment`. None if there are none.

    A session in a later billing period is booked with the credits of that period (CRED-2).
    """
    coming = (
        (period.starts_at, each.plan.live_credits or 0)
        for each in coverage
        if (number := each.next_number(now)) is not None
        and (period := each.billing_period(max(number, each.number_at(moment)))) is not None
        and (period.ends_at is None or period.ends_at > moment)
    )
    first = min(coming, default=None)
    return None if first is None else NextCredits(*first)
