"""What the days of a year are like: holidays by country, and how many sessions people want."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

Holidays = Callable[[int], set[date]]


def _weekday(year: int, month: int, weekday: int, number: int) -> date:
    """The `number`-th Monday (0) … Sunday (6) of a month; -1: the last one."""
    if number < 0:
        first = date(year + month // 12, month % 12 + 1, 1)
        return first - timedelta(days=(first.weekday() - weekday - 1) % 7 + 1)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _american(year: int) -> set[date]:
    days = {date(year, *day) for day in ((1, 1), (6, 19), (7, 4), (12, 24), (12, 25))}
    thanksgiving = _weekday(year, 11, 3, 4)
    return days | {_weekday(year, 5, 0, -1), _weekday(year, 9, 0, 1), thanksgiving, thanksgiving + timedelta(days=1)}


def _british(year: int) -> set[date]:
    days = {date(year, *day) for day in ((1, 1), (12, 25), (12, 26))}
    return days | {_weekday(year, 5, 0, 1), _weekday(year, 5, 0, -1), _weekday(year, 8, 0, -1)}


def _german(year: int) -> set[date]:
    return {date(year, *day) for day in ((1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31))}


@dataclass(frozen=True)
class Region:
    """Where people live: their time zone, one that is not far, their holidays, and their share of all people."""

    time_zone: str
    elsewhere: str
    holidays: Holidays
    share: float


REGIONS: Final = (
    Region("America/New_York", "America/Chicago", _american, 0.4),
    Region("America/Chicago", "America/Denver", _american, 0.15),
    Region("America/Los_Angeles", "America/Denver", _american, 0.2),
    Region("Europe/London", "Europe/Madrid", _british, 0.15),
    Region("Europe/Berlin", "Europe/London", _german, 0.1),
)

_MONTHS: Final = (1.05, 1.0, 1.0, 0.95, 0.95, 0.9, 0.65, 0.6, 0.95, 1.05, 1.0, 0.8)
_HOUR_WEIGHTS: Final = {8: 3, 9: 5, 10: 5, 11: 4, 12: 6, 13: 3, 14: 3, 15: 4, 16: 6, 17: 9, 18: 9, 19: 6}
HOURS: Final = tuple(_HOUR_WEIGHTS)
HOUR_WEIGHTS: Final = tuple(_HOUR_WEIGHTS.values())
"""At which hours members like to meet: at noon and after work."""
WEEKDAY_WEIGHTS: Final = (5, 6, 6, 5, 3)
"""On which days, Monday to Friday."""


@cache
def appetite(day: date) -> float:
    """How likely it is that somebody who usually comes wants to come in this week: less in summer and at the year's end."""
    if (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 2):
        return 0.3
    return _MONTHS[day.month - 1]


@cache
def illness(day: date) -> float:
    """By how much more often people are ill than usual."""
    return 1.8 if day.month in (1, 2, 12) else 1.2 if day.month in (3, 11) else 0.7
