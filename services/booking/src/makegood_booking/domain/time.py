"""Wall times and instants (BOOK-2)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_ZONES = frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether `name` is a time zone of the IANA database, spelt as there."""
    return name in _ZONES


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises LookupError for a name that is none."""
    if name not in _ZONES:
        raise LookupError("no such time zone")
    return ZoneInfo(name)


def resolve_local(wall: datetime, name: str) -> datetime:
    """The instant (UTC) of a wall time in a zone, as RFC 5545 §3.3.5 resolves it (BOOK-2).

    A wall time that a clock change skips is read with the offset before the gap; one that is repeated is its first.
    """
    if wall.tzinfo is not None:
        raise ValueError("a wall time has no offset")
    # fold=0 takes the offset before the transition, which is just what the RFC asks for in gaps and in repetitions.
    return wall.replace(tzinfo=zone(name), fold=0).astimezone(UTC)


def local_text(moment: datetime, name: str) -> str:
    """An instant as the wall shows it in the zone, `2026-11-24T10:00` (BOOK-2)."""
    return moment.astimezone(zone(name)).strftime("%Y-%m-%dT%H:%M")
