"""Hours across clock changes, exceptions and midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_calendar.hours import Hours, MinuteRange, joined, overlaps
from makegood_calendar.zones import instant, local_text

NEW_YORK = ZoneInfo("America/New_York")


def weekly(*ranges: MinuteRange, zone: ZoneInfo = NEW_YORK) -> Hours:
    return Hours(zone, (ranges,) * 7)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.rule("BOOK-2", "AVAIL-1")
@pytest.mark.parametrize(
    ("zone", "day", "minute", "expected"),
    [
        ("America/New_York", date(2027, 3, 14), 150, utc(2027, 3, 14, 7, 30)),  # 02:30 is skipped: as 03:30 EDT
        ("America/New_York", date(2026, 11, 1), 90, utc(2026, 11, 1, 5, 30)),  # 01:30 comes twice: the first
        ("Australia/Lord_Howe", date(2026, 10, 4), 135, utc(2026, 10, 3, 15, 45)),  # half an hour is skipped
        ("America/Santiago", date(2027, 9, 5), 0, utc(2027, 9, 5, 4, 0)),  # midnight itself is skipped
        ("Asia/Kathmandu", date(2027, 1, 1), 540, utc(2027, 1, 1, 3, 15)),
        ("Europe/Berlin", date(2027, 3, 27), 1440, utc(2027, 3, 27, 23, 0)),
        ("Europe/Berlin", date(2026, 11, 24), 600, utc(2026, 11, 24, 9, 0)),
        ("Europe/Berlin", date(2027, 3, 28), 150, utc(2027, 3, 28, 1, 30)),  # skipped in the north
        ("Europe/Berlin", date(2026, 10, 25), 150, utc(2026, 10, 25, 0, 30)),  # comes twice in the north: the first
        ("America/New_York", date(2007, 3, 11), 150, utc(2007, 3, 11, 7, 30)),  # the RFC's own examples
        ("America/New_York", date(2007, 11, 4), 90, utc(2007, 11, 4, 5, 30)),
        ("Australia/Sydney", date(2026, 10, 4), 150, utc(2026, 10, 3, 16, 30)),  # skipped in the south
        ("Australia/Sydney", date(2027, 4, 4), 150, utc(2027, 4, 3, 15, 30)),  # comes twice in the south
        ("Pacific/Apia", date(2011, 12, 30), 600, utc(2011, 12, 30, 20, 0)),  # a whole day is skipped
        ("Asia/Kolkata", date(2026, 7, 1), 600, utc(2026, 7, 1, 4, 30)),
    ],
)
def test_wall_times_are_resolved_as_rfc_5545_says(zone: str, day: date, minute: int, expected: datetime) -> None:
    assert instant(day, minute, ZoneInfo(zone)) == expected


@pytest.mark.rule("BOOK-2")
@given(
    st.integers(0, 15 * 366 * 24 * 60).map(lambda minutes: utc(2020, 1, 1) + timedelta(minutes=minutes)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Chatham"]),
)
def test_a_wall_time_that_is_shown_is_resolved_to_the_first_moment_that_shows_it(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    shown = datetime.fromisoformat(local_text(moment, zone))
    resolved = instant(shown.date(), shown.hour * 60 + shown.minute, zone)
    assert local_text(resolved, zone) == local_text(moment, zone)
    assert timedelta() <= moment - resolved <= timedelta(hours=1)


@pytest.mark.rule("AVAIL-1")
def test_a_day_of_23_or_25_hours_has_slots_by_elapsed_time() -> None:
    hours = weekly((0, 1440))
    hour = timedelta(hours=1)
    short, long = hours.on(date(2027, 3, 14))[0], hours.on(date(2026, 11, 1))[0]
    assert [(end - start) // hour for start, end in (short, long)] == [23, 25]
    assert len(list(hours.grid(*long, hour))) == 25


@pytest.mark.rule("AVAIL-1")
def test_a_range_that_the_clock_change_swallows_is_empty() -> None:
    assert weekly((150, 180)).on(date(2027, 3, 14)) == ()


@pytest.mark.rule("AVAIL-1")
def test_an_exception_replaces_the_hours_of_its_date_and_an_empty_one_closes_it() -> None:
    hours = Hours(NEW_YORK, (((540, 1020),),) * 7, {date(2027, 1, 4): ((600, 660), (720, 780)), date(2027, 1, 5): ()})
    assert [local_text(opens, NEW_YORK)[-5:] for opens, _ in hours.on(date(2027, 1, 4))] == ["10:00", "12:00"]
    assert hours.on(date(2027, 1, 5)) == ()
    assert len(hours.on(date(2027, 1, 6))) == 1


@pytest.mark.rule("AVAIL-1")
def test_hours_to_24_00_go_on_at_midnight() -> None:
    night = weekly((0, 120), (1320, 1440))
    start = utc(2027, 1, 5, 4, 30)  # 23:30 in New York
    assert night.covers(start, start + timedelta(hours=1))
    assert not night.covers(start, start + timedelta(hours=3))
    assert not weekly((1320, 1440)).covers(start, start + timedelta(hours=1))


@pytest.mark.rule("AVAIL-2")
def test_slots_start_step_by_step_from_the_start_of_each_range() -> None:
    hours = weekly((550, 600), (605, 660))
    day = hours.on(date(2027, 1, 4))
    starts = [local_text(s, NEW_YORK)[-5:] for s in hours.grid(day[0][0], day[1][1], timedelta(minutes=20))]
    assert starts == ["09:10", "09:30", "09:50", "10:05", "10:25", "10:45"]


def test_joined_spans_cover_the_same_time() -> None:
    at = [utc(2027, 1, 1, hour) for hour in range(10)]
    assert joined([(at[4], at[6]), (at[0], at[2]), (at[2], at[3]), (at[5], at[5])]) == ((at[0], at[3]), (at[4], at[6]))


@pytest.mark.parametrize(
    ("ranges", "expected"), [(((60, 120), (120, 180)), False), (((60, 121), (120, 180)), True), ((), False)]
)
def test_overlapping_ranges_are_found_and_touching_ones_are_not(
    ranges: tuple[MinuteRange, ...], expected: bool
) -> None:
    assert overlaps(ranges) is expected
