"""Schedules and venues' hours: from the stored JSON to what the rules use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from makegood_calendar.hours import Hours, MinuteRange
from makegood_calendar.slot_rules import Schedule, Venue
from makegood_contracts.events import Modality

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def schedule_of(body: Mapping[str, Any]) -> Schedule:
    """The schedule in a complete body of `PUT /v1/providers/{id}/schedule`."""
    exceptions = {
        date.fromisoformat(exception["date"]): tuple(_minutes(hours) for hours in exception["hours"])
        for exception in body["exceptions"]
    }
    return Schedule(
        hours=_hours(body["time_zone"], body["weekly"], exceptions),
        step=timedelta(minutes=body["slot_step_minutes"]),
        buffer_before=timedelta(minutes=body["buffer_before_minutes"]),
        buffer_after=timedelta(minutes=body["buffer_after_minutes"]),
        minimum_notice=timedelta(minutes=body["minimum_notice_minutes"]),
        horizon=timedelta(days=body["horizon_days"]),
        lengths={
            kind["length_minutes"]: frozenset(cast("Iterable[Modality]", kind["modalities"]))
            for kind in body["session_types"]
        },
        specialty=body["specialty"],
    )


def venue_of(time_zone: str, weekly: Iterable[Mapping[str, Any]] | None) -> Venue:
    """A venue; without hours (None) it is always open."""
    return Venue(None if weekly is None else _hours(time_zone, weekly, {}))


def minutes_of(text: str) -> int:
    """Minutes from midnight of `09:30`; `24:00` is 1440."""
    return int(text[:2]) * 60 + int(text[3:5])


def _hours(
    time_zone: str, weekly: Iterable[Mapping[str, Any]], exceptions: Mapping[date, tuple[MinuteRange, ...]]
) -> Hours:
    days: dict[str, list[MinuteRange]] = {day: [] for day in DAYS}
    for hours in weekly:
        days[hours["day"]].append(_minutes(hours))
    return Hours(ZoneInfo(time_zone), tuple(tuple(sorted(days[day])) for day in DAYS), exceptions)


def _minutes(hours: Mapping[str, Any]) -> MinuteRange:
    return minutes_of(hours["from"]), minutes_of(hours["to"])
