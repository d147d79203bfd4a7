"""Working hours: a week that repeats in its own time zone, and dates with hours of their own (AVAIL-1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from makegood_calendar.zones import instant

MinuteRange = tuple[int, int]
"""Minutes of a local day, [from, to): (540, 1020) is 09:00 to 17:00, and 1440 is `24:00`."""
Span = tuple[datetime, datetime]
"""Instants, [from, to)."""

_ONE_DAY = timedelta(days=1)
_REMEMBERED_DAYS = 80
"""More days than the longest search looks at."""


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as possible, in order. Spans that touch or overlap become one."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            if end > whole[-1][1]:
                whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def overlaps(ranges: Sequence[MinuteRange]) -> bool:
    """Whether two ranges of one day share a minute. Ranges that only touch do not."""
    ordered = sorted(ranges)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))


@dataclass(frozen=True)
class Hours:
    """Weekly hours in `zone`. An exception's ranges replace those of its date; without any, the date is closed (AVAIL-1).

    `weekly` has seven entries, Monday first. A range that a clock change skips is empty that day.
    """

    zone: ZoneInfo
    weekly: tuple[tuple[MinuteRange, ...], ...]
    exceptions: Mapping[date, tuple[MinuteRange, ...]] = field(default_factory=dict)
    _days: dict[date, tuple[Span, ...]] = field(default_factory=dict, compare=False, repr=False)
    _near: dict[date, tuple[tuple[Span, ...], tuple[Span, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def on(self, day: date) -> tuple[Span, ...]:
        """The hours of one local date, as published. The slots of each range start anew."""
        found = self._days.get(day)
        if found is None:
            ranges = self.exceptions.get(day)
            if ranges is None:
                ranges = self.weekly[day.weekday()]
            spans = ((instant(day, start, self.zone), instant(day, end, self.zone)) for start, end in ranges)
            if len(self._days) >= _REMEMBERED_DAYS:
                self._days.clear()
            found = self._days[day] = tuple(span for span in spans if span[0] < span[1])
        return found

    def near(self, moment: datetime) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """The hours of the local date at `moment` and its two neighbours: as published, and joined.

        Joined, hours until `24:00` and from `00:00` on are one span, so that a session may continue past midnight.
        """
        day = moment.astimezone(self.zone).date()
        found = self._near.get(day)
        if found is None:
            given = (*self.on(day - _ONE_DAY), *self.on(day), *self.on(day + _ONE_DAY))
            if len(self._near) >= _REMEMBERED_DAYS:
                self._near.clear()
            found = self._near[day] = given, joined(given)
        return found

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether all of [start, end), at most a day, lies within the hours."""
        return any(opens <= start and end <= closes for opens, closes in self.near(start)[1])

    def starts(self, moment: datetime, step: timedelta) -> bool:
        """Whether `moment` is on the grid: a multiple of `step` after the start of a range, and before its end."""
        return any(opens <= moment < closes and not (moment - opens) % step for opens, closes in self.near(moment)[0])

    def grid(self, start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
        """The moments within [start, end) that are on the grid, in order."""
        return self.fitting(start, end, step, timedelta())

    def fitting(
        self, start: datetime, end: datetime, step: timedelta, length: timedelta, closed: Sequence[Span] = ()
    ) -> Iterator[datetime]:
        """The grid's moments within [start, end) after which the hours cover `length`, at most a day; in order.

        Moments within the open intervals `closed` are left out; the intervals are in order and do not overlap. They are
        skipped as a whole, so that a full month costs no more than an empty one.
        """
        day = start.astimezone(self.zone).date() - _ONE_DAY
        last = end.astimezone(self.zone).date() + _ONE_DAY
        latest = start - step
        closed_from = [opens for opens, _ in closed]
        while day <= last:
            moments: list[datetime] = []
            for opens, closes in self.on(day):
                if closes <= start or opens >= end:
                    continue
                moment = opens if opens >= start else opens - (opens - start) // step * step
                stop = min(closes, end)
                # If the hours continue without a gap, a session may run past the end of its range.
                fits = next(until for since, until in self.near(opens)[1] if since <= opens < until) - length
                while moment < stop and moment <= fits:
                    before = bisect_left(closed_from, moment) - 1
                    if before < 0 or closed[before][1] <= moment:
                        moments.append(moment)
                        moment += step
                    elif closed[before][1] < stop:
                        moment -= (moment - closed[before][1]) // step * step
                    else:
                        break
            for moment in sorted(moments):
                if moment > latest:
                    yield moment
                    latest = moment
            day += _ONE_DAY

    def gaps(self, start: datetime, end: datetime, length: timedelta) -> Iterator[Span]:
        """The open intervals around and within [start, end) in which nothing of `length`, at most a day, can start."""
        day = start.astimezone(self.zone).date() - _ONE_DAY
        last = end.astimezone(self.zone).date() + _ONE_DAY
        spans: list[Span] = []
        while day <= last:
            spans.extend(self.on(day))
            day += _ONE_DAY
        since = start - _ONE_DAY
        for opens, closes in joined(spans):
            if opens <= closes - length:
                if since < opens:
                    yield since, opens
                since = closes - length
        yield since, max(since, end) + _ONE_DAY
