"""Wall times (BOOK-2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.time import is_zone, local_text, resolve_local, zone

RFC_5545 = [
    ("a plain winter day", "Europe/Berlin", "2026-11-24T10:00", "2026-11-24T09:00"),
    ("skipped in the north: the offset before the gap", "Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:30"),
    ("skipped, as the RFC's own example", "America/New_York", "2007-03-11T02:30", "2007-03-11T07:30"),
    ("repeated in the north: the first", "Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
    ("repeated, as the RFC's own example", "America/New_York", "2007-11-04T01:30", "2007-11-04T05:30"),
    ("skipped in the south", "Australia/Sydney", "2026-10-04T02:30", "2026-10-03T16:30"),
    ("repeated in the south", "Australia/Sydney", "2027-04-04T02:30", "2027-04-03T15:30"),
    ("skipped by half an hour", "Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),
    ("a whole day skipped", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T20:00"),
    ("a zone without clock changes", "Asia/Kolkata", "2026-07-01T10:00", "2026-07-01T04:30"),
]


@pytest.mark.rule("BOOK-2")
@pytest.mark.parametrize(("name", "wall", "instant"), [case[1:] for case in RFC_5545], ids=[c[0] for c in RFC_5545])
def test_a_wall_time_is_resolved_as_rfc_5545_says(name: str, wall: str, instant: str) -> None:
    assert resolve_local(datetime.fromisoformat(wall), name) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Chatham",
)


@pytest.mark.rule("BOOK-2")
@given(
    st.integers(0, 15 * 366 * 24 * 60).map(lambda minutes: datetime(2020, 1, 1) + timedelta(minutes=minutes)),  # noqa: DTZ001
    st.sampled_from(ZONES),
)
def test_what_is_shown_is_resolved_to_the_same_wall_time(moment: datetime, name: str) -> None:
    shown = datetime.fromisoformat(local_text(moment.replace(tzinfo=UTC), name))
    instant = resolve_local(shown, name)
    assert local_text(instant, name) == shown.strftime("%Y-%m-%dT%H:%M")
    assert instant <= moment.replace(tzinfo=UTC)
    assert moment.replace(tzinfo=UTC) - instant <= timedelta(hours=1)


@pytest.mark.rule("BOOK-2")
def test_a_start_is_shown_in_the_booked_zone() -> None:
    moment = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert local_text(moment, "Europe/Berlin") == "2026-11-24T10:00"
    assert local_text(moment, "Asia/Kolkata") == "2026-11-24T14:30"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "europe/berlin", "Europe/Ber\x00lin", "+01:00"])
def test_a_zone_that_does_not_exist_is_none(name: str) -> None:
    assert not is_zone(name)
    with pytest.raises(LookupError):
        zone(name)


def test_a_wall_time_with_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        resolve_local(datetime(2026, 1, 1, tzinfo=UTC), "UTC")
