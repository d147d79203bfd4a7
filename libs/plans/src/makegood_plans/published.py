"""Enrolments and lots as other services read them from the topics of credits (PLAN-1, CRED-2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from makegood_plans.coverage import CoveragePeriod, end_of, start_of_day
from makegood_plans.plans import Plan


@dataclass(frozen=True, slots=True)
class PublishedEnrolment:
    """One enrolment of a member, as its latest event describes it.

    `sequence` counts the member's enrolments. Each ends the coverage of all earlier ones where it begins.
    """

    plan: Plan
    starts_on: date
    ends_on: date | None
    time_zone: str
    sequence: int


@dataclass(frozen=True, slots=True)
class PublishedLot:
    """One lot of a member, as the events about it describe it. See `makegood_plans.funding.CreditLot`."""

    id: str
    available: int
    length_minutes: int | None
    expires_at: datetime | None
    made_for_minutes: int | None = None


def coverage_periods(enrolments: Collection[PublishedEnrolment]) -> list[CoveragePeriod]:
    """When each enrolment of a member counts, ordered by time. One that never counts is left out."""
    begins = [(each.sequence, start_of_day(each.starts_on, each.time_zone)) for each in enrolments]
    found = []
    for each, (_, start) in zip(enrolments, begins, strict=True):
        ends = [begin for sequence, begin in begins if sequence > each.sequence]
        agreed = end_of(each.ends_on, each.time_zone)
        until = min(ends if agreed is None else [*ends, agreed], default=None)
        if until is None or start < until:
            found.append(CoveragePeriod(each.plan, each.starts_on, each.ends_on, each.time_zone, start, until))
    return sorted(found, key=lambda period: period.covers_from)
