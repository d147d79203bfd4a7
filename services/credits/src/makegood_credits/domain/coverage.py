"""Enrolments (PLAN-1): which plan covers a member, and which of its credits have been granted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from makegood_plans.coverage import CoveragePeriod, covering

from makegood_credits.domain.plans import CataloguePlan


@dataclass(frozen=True, slots=True)
class Enrolment(CoveragePeriod):
    """A member's coverage by one plan, and the billing periods for which credits have been granted.

    `next_period` is the first period without a grant, `next_grant` is when its grant is due. None: no more grants.
    """

    plan: CataloguePlan
    id: str
    member_id: str
    next_period: int = 0
    next_grant: datetime | None = None
    replaced_at: datetime | None = None
    """When another enrolment last replaced it, or the replacement was agreed. None if it continues as agreed."""
    resumed_on: date | None = None
    """The day from which it was last resumed, if the request named that day instead of `starts_on`."""

    @property
    def plan_id(self) -> str:
        return self.plan.id

    def next_number(self, now: datetime) -> int | None:
        """The number of the first billing period without a grant. None: no more grants."""
        return None if self.next_grant is None else self.next_period

    def awaiting(self, number: int) -> Enrolment:
        """The same enrolment, with the grant of that period as the next one, if there is one."""
        period = self.billing_period(number) if self.plan.live_credits else None
        return replace(self, next_period=number, next_grant=period.starts_at if period else None)


def day_before(day: date) -> date:
    """The day before."""
    return day - timedelta(days=1)


def spoken_of(enrolments: Iterable[Enrolment], now: datetime) -> Enrolment | None:
    """The member's plan (BOOK-3): the current one, or else the next one, or else the last one."""
    counting = sorted(
        (each for each in enrolments if each.covers_until is None or each.covers_from < each.covers_until),
        key=lambda each: each.covers_from,
    )
    present = covering(counting, now) or next((each for each in counting if each.covers_from > now), None)
    return present or (counting[-1] if counting else None)


def covers_throughout(enrolments: Iterable[Enrolment], plan_id: str, start: datetime, until: datetime) -> bool:
    """Whether the plan covers every instant of [start, until), by one or several enrolments."""
    moment = start
    for each in sorted(enrolments, key=lambda each: each.covers_from):
        if each.plan_id == plan_id and each.covers(moment):
            if each.covers_until is None or each.covers_until >= until:
                return True
            moment = each.covers_until
    return False
