"""Dates, times, offsets and money as people of a locale write them. No other module formats any (NOTE-1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt
from makegood_chassis.money import money_text


@dataclass(frozen=True, slots=True)
class Spoken:
    """A session's time in the zone it was booked in (BOOK-2), as people read it."""

    date: str
    times: str
    zone: str


class Formatter:
    """Formats for one locale. `text` is its name as Babel writes it, such as `de_AT`."""

    def __init__(self, text: str) -> None:
        self.text = text

    def session(self, starts_at: datetime, ends_at: datetime, time_zone: str) -> Spoken:
        """`Tuesday, November 24, 2026`, `10:00 – 10:30 AM`, `Europe/Berlin, GMT+01:00`; the zone is always named.
        Across a clock change each of the two times has its offset, because the later one may look like the earlier.
        """
        return _session(self.text, starts_at, ends_at, time_zone)

    def moment(self, at: datetime, time_zone: str, beside: datetime | None = None) -> str:
        """The date and time of a single instant, in a zone that the rest of the message names, at the offset of
        `beside`. It shows its own offset if a clock change lies between the two, or in an hour that a clock change
        repeats.
        """
        zone = ZoneInfo(time_zone)
        local = _local(at, zone)
        twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
        apart = beside is not None and _local(beside, zone).utcoffset() != local.utcoffset()
        clock = _clock(local, self.text)
        clock = f"{clock} {_offset(local, self.text)}" if twice or apart else clock
        return f"{_weekday(local.date(), self.text)}, {clock}"

    def day(self, day: date) -> str:
        """A day without a time, such as the one on which something is due."""
        return format_date(day, "long", locale=self.text)

    def money(self, amount_minor: int, currency: str) -> str:
        """An amount given in minor units."""
        return money_text(amount_minor, currency, self.text)


@lru_cache(maxsize=1024)
def formatter(locale: str, language: str) -> Formatter:
    """For the reader's locale, if it is known and matches the message's language. Otherwise for that language."""
    own = locale.replace("-", "_")
    try:
        if own.partition("_")[0].lower() == language:
            return Formatter(str(Locale.parse(own)))
    except (UnknownLocaleError, ValueError):  # such as `en-12`, for which Babel finds no locale at all
        pass
    return Formatter(language)


@lru_cache(maxsize=4096)
def _session(locale: str, starts_at: datetime, ends_at: datetime, time_zone: str) -> Spoken:
    zone = ZoneInfo(time_zone)
    start, end = _local(starts_at, zone), _local(ends_at, zone)
    day = _weekday(start.date(), locale)
    if start.utcoffset() != end.utcoffset():
        first, last = (f"{_clock(moment, locale)} {_offset(moment, locale)}" for moment in (start, end))
        return Spoken(day, f"{first} – {last}", time_zone)
    times = f"{_clock(start, locale)} – {_clock(end, locale)}"
    return Spoken(day, times, f"{time_zone}, {_offset(start, locale)}")


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(UTC).astimezone(zone)


# Babel takes tens of microseconds for each of these, and there are few: the days ahead, the minutes of a day, the offsets in use.
@lru_cache(maxsize=1024)
def _weekday(day: date, locale: str) -> str:
    return format_date(day, "full", locale=locale)


def _clock(moment: datetime, locale: str) -> str:
    return _time(time(moment.hour, moment.minute), locale)


@lru_cache(maxsize=4096)
def _time(of_day: time, locale: str) -> str:
    return format_time(of_day, "short", locale=locale).replace("\u202f", "\u00a0")


def _offset(moment: datetime, locale: str) -> str:
    return _gmt(moment.utcoffset() or timedelta(), locale)


@lru_cache(maxsize=256)
def _gmt(offset: timedelta, locale: str) -> str:
    # A hyphen could be broken across two lines on a narrow screen. A minus stays with its number.
    return get_timezone_gmt(datetime(1970, 1, 1, tzinfo=timezone(offset)), locale=locale).replace("-", "−")
