"""PLAN-1: billing periods are counted from the first day of coverage, in days of its zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_plans.coverage import CoveragePeriod, NextCredits, covering, end_of, next_credits, start_of_day
from makegood_plans.plans import Plan

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Santiago", "Pacific/Apia"]
MONTHLY = Plan("monthly", "out_of_pocket", lengths=(30,), modalities=("video",), live_credits=4, months=1)
ONCE = replace(MONTHLY, months=None)


def coverage(
    starts_on: date, ends_on: date | None = None, time_zone: str = "UTC", plan: Plan = MONTHLY
) -> CoveragePeriod:
    return CoveragePeriod(
        plan, starts_on, ends_on, time_zone, start_of_day(starts_on, time_zone), end_of(ends_on, time_zone)
    )


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(
    ("starts_on", "number", "first_day"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 31), 3, date(2026, 4, 30)),
        (date(2026, 11, 15), 2, date(2027, 1, 15)),
    ],
)
def test_a_period_starts_on_the_same_day_of_the_month_or_its_last(
    starts_on: date, number: int, first_day: date
) -> None:
    period = coverage(starts_on).billing_period(number)
    assert period is not None
    assert period.first_day == first_day


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 2, 27, 18, 29, 59, tzinfo=UTC), 0),
        (datetime(2026, 2, 27, 18, 30, tzinfo=UTC), 1),
        (datetime(2026, 3, 30, 18, 29, 59, tzinfo=UTC), 1),
        (datetime(2026, 3, 30, 18, 30, tzinfo=UTC), 2),
        (datetime(2026, 4, 29, 18, 30, tzinfo=UTC), 3),
    ],
)
def test_the_present_period_is_the_one_whose_first_day_has_begun_there(moment: datetime, number: int) -> None:
    assert coverage(date(2026, 1, 31), time_zone="Asia/Kolkata").number_at(moment) == number


@pytest.mark.rule("PLAN-1")
def test_days_are_those_of_the_coverages_zone() -> None:
    period = coverage(date(2026, 3, 1), time_zone="America/New_York").billing_period(0)
    assert period is not None
    assert period.starts_at == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert period.ends_at == datetime(2026, 4, 1, 4, tzinfo=UTC), "summer time came in between"


@pytest.mark.rule("PLAN-1")
def test_coverage_includes_its_last_day_and_cuts_the_last_period() -> None:
    covered = coverage(date(2026, 1, 10), date(2026, 2, 20), "Europe/Berlin")
    last = covered.billing_period(1)
    assert last is not None
    assert last.ends_at == datetime(2026, 2, 20, 23, tzinfo=UTC)
    assert covered.billing_period(2) is None
    assert covering([covered], datetime(2026, 2, 20, 22, 59, tzinfo=UTC)) is covered
    assert covering([covered], datetime(2026, 2, 20, 23, 0, tzinfo=UTC)) is None
    assert covering([covered], datetime(2026, 1, 9, 22, 59, tzinfo=UTC)) is None
    assert covering([covered], datetime(2026, 1, 9, 23, 0, tzinfo=UTC)) is covered


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(("ends_on", "ends_at"), [(None, None), (date(2026, 6, 30), datetime(2026, 7, 1, tzinfo=UTC))])
def test_a_plan_without_periods_has_one_for_the_whole_coverage(ends_on: date | None, ends_at: datetime | None) -> None:
    covered = coverage(date(2026, 1, 1), ends_on, plan=ONCE)
    whole = covered.billing_period(0)
    assert whole is not None
    assert whole.ends_at == ends_at
    assert covered.billing_period(1) is None


@pytest.mark.rule("BOOK-2")
def test_a_midnight_that_the_clock_change_skips_is_read_as_the_moment_after() -> None:
    assert start_of_day(date(2026, 9, 6), "America/Santiago") == datetime(2026, 9, 6, 4, tzinfo=UTC)


@pytest.mark.rule("PLAN-1")
@given(
    st.dates(date(2000, 1, 1), date(2150, 1, 1)),
    st.integers(0, 40),
    st.integers(0, 86_399),
    st.sampled_from(ZONES),
)
def test_periods_follow_each_other_without_gap_and_the_current_one_holds_now(
    starts_on: date, number: int, seconds: int, zone: str
) -> None:
    covered = coverage(starts_on, time_zone=zone)
    period, following = covered.billing_period(number), covered.billing_period(number + 1)
    assert period is not None
    assert following is not None
    assert period.ends_at == following.starts_at > period.starts_at
    inside = min(period.starts_at + timedelta(seconds=seconds), following.starts_at - timedelta(microseconds=1))
    assert covered.number_at(inside) == number
    assert period.starts_at.astimezone(ZoneInfo(zone)).date() == period.first_day


NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
NEXT = NextCredits(datetime(2026, 12, 1, tzinfo=UTC), 4)


@pytest.mark.rule("BOOK-4", "PLAN-1")
@pytest.mark.parametrize(
    ("covered", "moment", "coming"),
    [
        (coverage(date(2026, 11, 1)), NOW, NEXT),
        (coverage(date(2026, 11, 1)), datetime(2026, 12, 31, tzinfo=UTC), NEXT),
        (
            coverage(date(2026, 11, 1)),
            datetime(2027, 1, 1, tzinfo=UTC),
            NextCredits(datetime(2027, 1, 1, tzinfo=UTC), 4),
        ),
        (coverage(date(2026, 12, 1)), NOW, NEXT),
        (coverage(date(2026, 12, 1), plan=ONCE), datetime(2027, 3, 1, tzinfo=UTC), NEXT),
        (coverage(date(2026, 11, 1), plan=ONCE), NOW, None),
        (coverage(date(2026, 11, 1), date(2026, 11, 30)), NOW, None),
        (coverage(date(2026, 11, 1), date(2026, 12, 20)), datetime(2026, 12, 21, tzinfo=UTC), None),
        (coverage(date(2026, 11, 1), plan=replace(MONTHLY, live_credits=None)), NOW, None),
        (coverage(date(2026, 11, 1), plan=replace(MONTHLY, live_credits=0)), NOW, None),
    ],
)
def test_the_next_credits_are_the_first_to_come_that_have_not_lapsed_by_the_session(
    covered: CoveragePeriod, moment: datetime, coming: NextCredits | None
) -> None:
    assert next_credits([covered], moment, NOW) == coming


@pytest.mark.rule("BOOK-3")
def test_a_session_costs_a_credit_or_the_co_pay() -> None:
    insured = replace(ONCE, live_credits=None)
    costs = [replace(ONCE, lengths=()).costs, ONCE.costs, insured.costs]
    assert [None if each is None else (each.credit, each.amount) for each in costs] == [None, (1, None), (None, None)]
