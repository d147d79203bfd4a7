"""Periods of coverage: counted from the first day, in days of the enrolment's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_credits.domain.coverage import Enrolment, covering, end_of, start_of_day

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Santiago", "Pacific/Apia"]


def enrolment(
    starts_on: date, ends_on: date | None = None, time_zone: str = "UTC", plan_id: str = "out-of-pocket-4"
) -> Enrolment:
    return Enrolment(
        "e",
        "m",
        plan_id,
        starts_on,
        ends_on,
        time_zone,
        start_of_day(starts_on, time_zone),
        end_of(ends_on, time_zone),
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
    period = enrolment(starts_on).period(number)
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
    assert enrolment(date(2026, 1, 31), time_zone="Asia/Kolkata").current(moment) == number


@pytest.mark.rule("PLAN-1")
def test_days_are_those_of_the_enrolments_zone() -> None:
    period = enrolment(date(2026, 3, 1), time_zone="America/New_York").period(0)
    assert period is not None
    assert period.starts_at == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert period.ends_at == datetime(2026, 4, 1, 4, tzinfo=UTC), "summer time came in between"


@pytest.mark.rule("PLAN-1")
def test_coverage_includes_its_last_day_and_cuts_the_last_period() -> None:
    covered = enrolment(date(2026, 1, 10), date(2026, 2, 20), "Europe/Berlin")
    last = covered.period(1)
    assert last is not None
    assert last.ends_at == datetime(2026, 2, 20, 23, tzinfo=UTC)
    assert covered.period(2) is None
    assert covering([covered], datetime(2026, 2, 20, 22, 59, tzinfo=UTC)) is covered
    assert covering([covered], datetime(2026, 2, 20, 23, 0, tzinfo=UTC)) is None
    assert covering([covered], datetime(2026, 1, 9, 22, 59, tzinfo=UTC)) is None
    assert covering([covered], datetime(2026, 1, 9, 23, 0, tzinfo=UTC)) is covered


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(("ends_on", "ends_at"), [(None, None), (date(2026, 6, 30), datetime(2026, 7, 1, tzinfo=UTC))])
def test_a_plan_without_periods_has_one_for_the_whole_coverage(ends_on: date | None, ends_at: datetime | None) -> None:
    covered = enrolment(date(2026, 1, 1), ends_on, plan_id="eap-6")
    whole = covered.period(0)
    assert whole is not None
    assert whole.ends_at == ends_at
    assert covered.period(1) is None


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
    covered = enrolment(starts_on, time_zone=zone)
    period, following = covered.period(number), covered.period(number + 1)
    assert period is not None
    assert following is not None
    assert period.ends_at == following.starts_at > period.starts_at
    inside = min(period.starts_at + timedelta(seconds=seconds), following.starts_at - timedelta(microseconds=1))
    assert covered.current(inside) == number
    assert period.starts_at.astimezone(ZoneInfo(zone)).date() == period.first_day
