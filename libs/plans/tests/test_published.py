"""PLAN-1: published enrolments cover a member as credits lets one follow the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_plans.coverage import covering, end_of, start_of_day
from makegood_plans.published import PublishedEnrolment, coverage_periods

from .examples import days, enrolments, soon
from .test_coverage import MONTHLY


@dataclass
class Agreed:
    """An enrolment in the book of credits: what it is, and until when it counts."""

    enrolment: PublishedEnrolment
    until: datetime | None


def begin(enrolment: PublishedEnrolment) -> datetime:
    return start_of_day(enrolment.starts_on, enrolment.time_zone)


@pytest.mark.rule("PLAN-1")
@given(enrolments(), st.lists(st.tuples(st.integers(0, 2), st.none() | days), max_size=3), soon)
def test_coverage_is_what_one_enrolment_after_the_other_makes_of_it(
    plans: list[PublishedEnrolment], again: list[tuple[int, date | None]], moment: datetime
) -> None:
    """As credits does it: each enrolment ends every other where it begins; one taken up again has its agreed end anew."""
    book: dict[str, Agreed] = {}
    told: dict[str, PublishedEnrolment] = {}

    def enrol(enrolment: PublishedEnrolment) -> None:
        for each in book.values():
            if each.enrolment.plan.id != enrolment.plan.id and (each.until is None or each.until > begin(enrolment)):
                each.until = begin(enrolment)
        book[enrolment.plan.id] = Agreed(enrolment, end_of(enrolment.ends_on, enrolment.time_zone))
        told[enrolment.plan.id] = enrolment

    for enrolment in plans:
        enrol(enrolment)
    sequence = len(plans)
    for number, ends_on in again:
        if number < len(plans) and (ends_on is None or ends_on >= plans[number].starts_on):
            sequence += 1
            enrol(replace(plans[number], ends_on=ends_on, sequence=sequence))
    wanted = [
        each.enrolment.plan.id
        for each in book.values()
        if begin(each.enrolment) <= moment and (each.until is None or moment < each.until)
    ]
    found = covering(coverage_periods(list(told.values())), moment)
    assert ([found.plan.id] if found else []) == wanted


@pytest.mark.rule("PLAN-1")
@given(enrolments())
def test_periods_of_coverage_are_in_order_and_never_overlap(plans: list[PublishedEnrolment]) -> None:
    periods = coverage_periods(plans)
    for each, following in itertools.pairwise(periods):
        assert each.covers_until is not None
        assert each.covers_from < each.covers_until <= following.covers_from


@pytest.mark.rule("PLAN-1")
def test_of_enrolments_at_most_one_covers_an_instant() -> None:
    base = PublishedEnrolment(replace(MONTHLY, id="a"), date(2026, 12, 1), None, "UTC", 1)
    earlier = replace(base, plan=replace(MONTHLY, id="b"), starts_on=date(2026, 11, 1), sequence=2)
    assert [period.plan.id for period in coverage_periods([base, earlier])] == ["b"]
    later = replace(base, plan=replace(MONTHLY, id="c"), starts_on=date(2027, 1, 1), sequence=3)
    found = coverage_periods([later, base, earlier])
    assert [(period.plan.id, period.covers_until) for period in found] == [
        ("b", datetime(2027, 1, 1, tzinfo=UTC)),
        ("c", None),
    ]
