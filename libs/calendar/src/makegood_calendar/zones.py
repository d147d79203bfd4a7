"""Local times and instants. Every instant here is a datetime in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=16_384)
def instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """BOOK-2: the instant at which clocks in `zone` show `minute` (0 to 1440, from midnight) of the local `day`.

    A time that a clock change skips is read with the offset before the change. One that occurs twice means the first of the two
    (RFC 5545 §3.3.5). This is what `fold=0` does.
    """
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def local_text(moment: datetime, zone: ZoneInfo) -> str:
    """What clocks in `zone` show at `moment`: `2026-11-24T10:00`."""
    local = moment.astimezone(zone)
    return f"{local.date().isoformat()}T{local.time().isoformat('minutes')}"  # in parts, because it does not need the offset
