"""Turns a schedule's event into what the rules work with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from makegood_contracts.events import SchedulePublished, WeeklyHours

from makegood_calendar.hours import Hours, MinuteRange
from makegood_calendar.slot_rules import Schedule

_WEEKDAYS: Final = range(7)


def schedule_of(event: SchedulePublished) -> Schedule:
    """The schedule that a provider published (AVAIL-1).

    Raises KeyError for a time zone that this installation does not know.
    """
    return Schedule(
        hours=Hours(
            ZoneInfo(event.time_zone),
            tuple(_day(event.weekly, weekday) for weekday in _WEEKDAYS),
            {date.day: tuple((hours.start, hours.until) for hours in date.hours) for date in event.exceptions},
        ),
        step=timedelta(minutes=event.slot_step_minutes),
        buffer_before=timedelta(minutes=event.buffer_before_minutes),
        buffer_after=timedelta(minutes=event.buffer_after_minutes),
        minimum_notice=timedelta(minutes=event.minimum_notice_minutes),
        horizon=timedelta(days=event.horizon_days),
        lengths={kind.length_minutes: frozenset(kind.modalities) for kind in event.session_types},
        specialty=event.specialty,
    )


def _day(weekly: Iterable[WeeklyHours], weekday: int) -> tuple[MinuteRange, ...]:
    return tuple(sorted((hours.start, hours.until) for hours in weekly if hours.weekday == weekday))
