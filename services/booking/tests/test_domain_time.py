"""How a start is shown (BOOK-2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.time import is_zone, local_text, zone

SHOWN = [
    ("a plain winter day", "Europe/Berlin", "2026-11-24T09:00", "2026-11-24T10:00"),
    ("half an hour beside the others", "Asia/Kolkata", "2026-11-24T09:00", "2026-11-24T14:30"),
    ("the last minute before a gap", "Europe/Berlin", "2027-03-28T00:59", "2027-03-28T01:59"),
    ("the first minute after a gap", "Europe/Berlin", "2027-03-28T01:00", "2027-03-28T03:00"),
    ("in an hour that comes twice, the first", "America/New_York", "2026-11-01T05:30", "2026-11-01T01:30"),
    ("in an hour that comes twice, the second", "America/New_York", "2026-11-01T06:30", "2026-11-01T01:30"),
    ("summer in the south", "Australia/Sydney", "2026-11-24T09:00", "2026-11-24T20:00"),
    ("after a gap of half an hour", "Australia/Lord_Howe", "2026-10-03T15:45", "2026-10-04T02:45"),
]


@pytest.mark.rule("BOOK-2")
@pytest.mark.parametrize(("name", "instant", "shown"), [case[1:] for case in SHOWN], ids=[case[0] for case in SHOWN])
def test_a_start_is_shown_as_clocks_in_the_booked_zone_show_it(name: str, instant: str, shown: str) -> None:
    assert local_text(datetime.fromisoformat(instant).replace(tzinfo=UTC), name) == shown


@pytest.mark.rule("BOOK-2")
@given(
    st.integers(0, 15 * 366 * 24 * 60).map(
        lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Chatham"]),
)
def test_what_is_shown_names_the_instant_with_one_of_the_zones_offsets(moment: datetime, name: str) -> None:
    shown = datetime.fromisoformat(local_text(moment, name))
    assert moment in {shown.replace(tzinfo=zone(name), fold=fold).astimezone(UTC) for fold in (0, 1)}


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "",
        "../etc/passwd",
        "europe/berlin",
        "localtime",
        "Factory",
        "posix/UTC",
        "Europe/Ber\x00lin",
        "+01:00",
    ],
)
def test_a_zone_that_does_not_exist_is_none(name: str) -> None:
    assert not is_zone(name)
    with pytest.raises(LookupError):
        zone(name)
