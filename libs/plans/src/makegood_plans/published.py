"""PLAN-1: what credits publishes about enrolments, read as coverage."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from makegood_plans.coverage import CoveragePeriod, end_of, start_of_day
from makegood_plans.plans import Plan


@dataclass(frozen=True, slots=True)
class PublishedEnrolment:
    """One enrolment of a member, as its latest event tells it.

    `sequence` counts the member's enrolments. Each ends the coverage of all earlier ones where it begins.
    """

    plan: Plan
    starts_on: date
    ends_on: date | None
    time_zone: str
    sequence: int


def coverage_periods(enrolments: Collection[PublishedEnrolment]) -> list[CoveragePeriod]:
    """When each enrolment of a member counts, in the order of time; one that never counts is left out."""
    begins = [(each.sequence, start_of_day(each.starts_on, each.time_zone)) for each in enrolments]
    found = []
    for each, (_, start) in zip(enrolments, begins, strict=True):
        ends = [begin for sequence, begin in begins if sequence > each.sequence]
        agreed = end_of(each.ends_on, each.time_zone)
        until = min(ends if agreed is None else [*ends, agreed], default=None)
        if until is None or start < until:
            found.append(CoveragePeriod(each.plan, each.starts_on, each.ends_on, each.time_zone, start, until))
    return sorted(found, key=lambda period: period.covers_from)
