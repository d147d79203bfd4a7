"""Working hours: a week that repeats in its own zone, and dates that differ from it (AVAIL-1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from zoneinfo import ZoneInfo

from makegood_calendar.zones import instant

MinuteRange = tuple[int, int]
"""Minutes of a local day, [from, to): (540, 1020) is 09:00 to 17:00, and 1440 is `24:00`."""
Span = tuple[datetime, datetime]
"""Instants, [from, to)."""

_ONE_DAY = timedelta(days=1)
_REMEMBERED_DAYS = 80
"""More than the longest search looks at."""


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as possible, in order: spans that touch or overlap become one."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            if end > whole[-1][1]:
                whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def overlaps(stretches: Sequence[MinuteRange]) -> bool:
    """Whether two stretches of one day share a minute; stretches that only touch do not."""
    ordered = sorted(stretches)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))


@dataclass(frozen=True)
class Hours:
    """Weekly hours in `zone`; the stretches of an exception replace those of its date, none at all closes it. AVAIL-1

    `weekly` has seven entries, Monday first. A stretch that a clock change leaves no time for is empty that day.
    """

    zone: ZoneInfo
    weekly: tuple[tuple[MinuteRange, ...], ...]
    exceptions: Mapping[date, tuple[MinuteRange, ...]] = field(default_factory=dict)
    _days: dict[date, tuple[Span, ...]] = field(default_factory=dict, compare=False, repr=False)
    _near: dict[date, tuple[tuple[Span, ...], tuple[Span, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def on(self, day: date) -> tuple[Span, ...]:
        """The stretches of one local date, as they were given: each starts a row of slots of its own."""
        found = self._days.get(day)
        if found is None:
            stretches = self.exceptions.get(day)
            if stretches is None:
                stretches = self.weekly[day.weekday()]
            spans = ((instant(day, start, self.zone), instant(day, end, self.zone)) for start, end in stretches)
            if len(self._days) >= _REMEMBERED_DAYS:
                self._days.clear()
            found = self._days[day] = tuple(span for span in spans if span[0] < span[1])
        return found

    def near(self, moment: datetime) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """The stretches of the local date at `moment` and its two neighbours: as given, and joined.

        Joined, hours to `24:00` and on from `00:00` are one, so that a session may run over midnight.
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
        """Whether `moment` is on the grid: `step` after `step` from the start of a stretch, before its end."""
        return any(opens <= moment < closes and not (moment - opens) % step for opens, closes in self.near(moment)[0])

    def grid(self, start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
        """The moments within [start, end) for which `starts` is true, in order."""
        return self.fitting(start, end, step, timedelta())

    def fitting(
        self, start: datetime, end: datetime, step: timedelta, length: timedelta, closed: Sequence[Span] = ()
    ) -> Iterator[datetime]:
        """The moments of the grid within [start, end) from which on the hours cover `length`, at most a day, in order.

        Leaves out those within the open intervals `closed`, which are in order and do not overlap. What lies within is skipped,
        not looked at: a month that is full costs no more than an empty one.
        """
        day = start.astimezone(self.zone).date() - _ONE_DAY
        last = end.astimezone(self.zone).date() + _ONE_DAY
        latest = start - step
        while day <= last:
            moments: set[datetime] = set()
            for opens, closes in self.on(day):
                if closes <= start or opens >= end:
                    continue
                moment = opens if opens >= start else opens - (opens - start) // step * step
                stop = min(closes, end)
                # Where the hours go on without a gap a session may run over the end of its stretch.
                fits = next(until for since, until in self.near(opens)[1] if since <= opens < until) - length
                while moment < stop and moment <= fits:
                    before = bisect_left(closed, moment, key=itemgetter(0)) - 1
                    if before < 0 or closed[before][1] <= moment:
                        moments.add(moment)
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
