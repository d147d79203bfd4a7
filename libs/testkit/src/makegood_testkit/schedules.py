"""Schedules for tests: a body to publish, random schedules, and a naive model of their offers that checks every minute."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from makegood_calendar.hours import Hours, Span
from makegood_calendar.slot_rules import Schedule, Venue

MINUTE = timedelta(minutes=1)
CLOCK_CHANGES: tuple[tuple[str, date], ...] = (
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2026, 11, 1)),
    ("America/St_Johns", date(2027, 3, 14)),
    ("America/St_Johns", date(2026, 11, 1)),
    ("America/Santiago", date(2027, 4, 4)),
    ("America/Santiago", date(2027, 9, 5)),
    ("America/Havana", date(2027, 3, 14)),
    ("Europe/Lisbon", date(2027, 10, 31)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Europe/Dublin", date(2027, 3, 28)),
    ("Africa/Casablanca", date(2027, 2, 7)),
    ("Antarctica/Troll", date(2027, 3, 28)),
    ("Africa/Cairo", date(2027, 4, 30)),
    ("Asia/Kolkata", date(2027, 3, 28)),
    ("Asia/Kathmandu", date(2027, 3, 28)),
    ("Asia/Beirut", date(2027, 3, 28)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Australia/Adelaide", date(2027, 10, 3)),
    ("Australia/Sydney", date(2027, 4, 4)),
    ("Australia/Sydney", date(2026, 10, 4)),
    ("Pacific/Chatham", date(2027, 4, 4)),
    ("Pacific/Chatham", date(2026, 9, 27)),
    ("Pacific/Auckland", date(2027, 9, 26)),
    ("UTC", date(2027, 1, 1)),
)
"""Dates with and without clock changes in both hemispheres: zones that differ from UTC by whole, half and quarter
hours, and changes by half an hour, one hour and two.
"""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def schedule_body(**changes: Any) -> dict[str, Any]:
    """The body that a provider publishes: every day from 09:00 to 17:00 UTC, 30 and 60 minutes, by video or in person."""
    return {
        "time_zone": "UTC",
        "weekly": every_day("09:00", "17:00"),
        "exceptions": [],
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "minimum_notice_minutes": 0,
        "horizon_days": 365,
        "slot_step_minutes": 15,
        "specialty": "therapy",
        "session_types": [{"length_minutes": length, "modalities": ["video", "in_person"]} for length in (30, 60)],
        **changes,
    }


def every_day(opens: str, closes: str) -> list[dict[str, str]]:
    return [{"day": day, "from": opens, "to": closes} for day in DAYS]


class Wall:
    """Wall times of one zone around a date, found by checking each minute that passes there (RFC 5545 §3.3.5)."""

    def __init__(self, zone: ZoneInfo, middle: date, days: int = 6) -> None:
        start = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - timedelta(days=days)
        self._shown = []
        self._first: dict[datetime, datetime] = {}
        for minute in range(2 * days * 1440):
            moment = start + minute * MINUTE
            shown = moment.astimezone(zone).replace(tzinfo=None)
            self._shown.append((shown, moment))
            self._first.setdefault(shown, moment)

    def instant(self, wall: datetime) -> datetime:
        """The first minute at which clocks show `wall`. If they skip it, the minute at which they would show it without
        the change.
        """
        if wall in self._first:
            return self._first[wall]
        before = next(
            earlier
            for earlier, later in zip(self._shown, self._shown[1:], strict=False)
            if earlier[0] < wall < later[0]
        )
        return before[1] + (wall - before[0])


@dataclass
class Model:
    """What a schedule offers around a date, minute by minute."""

    schedule: Schedule
    middle: date
    now: datetime
    time_off: Sequence[Span] = ()
    venue: Venue | None = None
    busy: Sequence[Span] = ()
    """The provider's sessions, without buffers."""
    others: Sequence[Span] = ()
    """When the venue or the member is busy."""
    _open: set[datetime] = field(default_factory=set)
    _grid: set[datetime] = field(default_factory=set)
    _venue_open: set[datetime] | None = None

    def __post_init__(self) -> None:
        for opens, closes in self._spans(self.schedule.hours):
            self._open.update(minutes(opens, closes))
            moment = opens
            while moment < closes:
                self._grid.add(moment)
                moment += self.schedule.step
        if self.venue is not None and self.venue.hours is not None:
            self._venue_open = {minute for span in self._spans(self.venue.hours) for minute in minutes(*span)}

    def _spans(self, hours: Hours) -> Iterable[Span]:
        wall = Wall(hours.zone, self.middle)
        for offset in range(-4, 5):
            day = self.middle + timedelta(days=offset)
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001
            for opens, closes in hours.exceptions.get(day, hours.weekly[day.weekday()]):
                yield wall.instant(midnight + opens * MINUTE), wall.instant(midnight + closes * MINUTE)

    def starts(self, within: Span, length: int) -> list[datetime]:
        """Every start within the window at which a session can be booked."""
        return [moment for moment in minutes(*within) if self._bookable(moment, length)]

    def _bookable(self, start: datetime, length: int) -> bool:
        schedule = self.schedule
        if start not in self._grid or not self.now + schedule.minimum_notice <= start <= self.now + schedule.horizon:
            return False
        session = list(minutes(start, start + length * MINUTE))
        taken = minutes(start - schedule.buffer_before, start + length * MINUTE + schedule.buffer_after)
        return (
            all(minute in self._open for minute in session)
            and (self._venue_open is None or all(minute in self._venue_open for minute in session))
            and not any(a <= minute < b for minute in session for a, b in (*self.time_off, *self.others))
            and not any(
                a - schedule.buffer_before <= minute < b + schedule.buffer_after
                for minute in taken
                for a, b in self.busy
            )
        )


def minutes(start: datetime, end: datetime) -> Iterable[datetime]:
    while start < end:
        yield start
        start += MINUTE


def _hours(rng: random.Random, zone: ZoneInfo, middle: date) -> Hours:
    def day() -> tuple[tuple[int, int], ...]:
        cuts = sorted(rng.sample(range(0, 1441, rng.choice([15, 20, 30, 60])), rng.choice([0, 2, 2, 4, 4, 6])))
        periods = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
        if periods and rng.random() < 0.3:
            periods = [(0, periods[0][1]), *periods[1:]]
        if periods and rng.random() < 0.3:
            periods = [*periods[:-1], (periods[-1][0], 1440)]
        if len(periods) == 1 and rng.random() < 0.3 and periods[0][1] - periods[0][0] > 60:
            ((a, b),) = periods
            periods = [(a, a + 50), (a + 50, b)]
        return tuple(periods)

    exceptions = {middle + timedelta(days=rng.randint(-2, 2)): day() for _ in range(rng.choice([0, 0, 1, 2]))}
    return Hours(zone, tuple(day() for _ in range(7)), exceptions)


def make_schedule(rng: random.Random, change: tuple[str, date] | None = None) -> tuple[Schedule, date]:
    """A random schedule and a date to check, often one on which its zone changes the clocks (`change`, or else any)."""
    name, middle = change or rng.choice(CLOCK_CHANGES)
    schedule = Schedule(
        hours=_hours(rng, ZoneInfo(name), middle),
        step=timedelta(minutes=rng.choice([5, 10, 15, 20, 30, 60])),
        buffer_before=timedelta(minutes=rng.choice([0, 0, 5, 10, 30])),
        buffer_after=timedelta(minutes=rng.choice([0, 0, 5, 15])),
        minimum_notice=timedelta(minutes=rng.choice([0, 60, 1440])),
        horizon=timedelta(days=rng.choice([2, 30, 365])),
        lengths={30: frozenset({"video"}), 45: frozenset({"video", "in_person"}), 90: frozenset({"in_person"})},
    )
    return schedule, middle


def make_venue(rng: random.Random, middle: date) -> Venue:
    name, _ = rng.choice(CLOCK_CHANGES)
    return Venue(None if rng.random() < 0.3 else _hours(rng, ZoneInfo(name), middle))
