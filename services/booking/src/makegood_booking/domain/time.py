"""Spans of time, and how instants are shown (BOOK-2). Only schedules turn wall times into instants, so availability has that
rule.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from makegood_calendar.zones import local_text as wall_time
from makegood_contracts.zones import zone_names


def is_zone(name: str) -> bool:
    """Whether `name` is a time zone of the IANA database, in the same spelling."""
    return name in zone_names()


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises LookupError if there is none."""
    if not is_zone(name):
        raise LookupError("no such time zone")
    return ZoneInfo(name)


def local_text(moment: datetime, name: str) -> str:
    """The wall time of an instant in the zone, such as `2026-11-24T10:00` (BOOK-2)."""
    return wall_time(moment, zone(name))


# Made once, because making one takes ten times as long as adding it to an instant.


@cache
def days(count: int) -> timedelta:
    return timedelta(days=count)


@cache
def hours(count: int) -> timedelta:
    return timedelta(hours=count)


@cache
def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)
