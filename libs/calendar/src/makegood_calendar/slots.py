"""Slot search: the moments at which a session is offered and free to start (AVAIL-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import SlotRules


@dataclass(frozen=True, slots=True)
class Busy:
    """What is already taken: the provider's time, including their sessions' buffers, and `others`' time without buffers.

    `others` are the venue and the member who searches.
    """

    provider: Sequence[Span] = ()
    others: Sequence[Span] = ()


def window(rules: SlotRules, start: datetime, end: datetime) -> Span | None:
    """The part of [start, end) in which a session can start at all, which a search must examine. None if there is none."""
    earliest, latest = rules.bounds
    first = max(start, earliest)
    # The last moment within the horizon is still offered, and `end` is exclusive.
    last = min(end, latest + latest.resolution)
    return (first, last) if first < last and not rules.kind_refusals else None


def free_starts(rules: SlotRules, within: Span, busy: Busy) -> Iterator[datetime]:
    """Every start within [from, to) that can be booked, in order (AVAIL-2).

    It agrees with `refusals`, but checks only once what is true of all starts.
    """
    part = window(rules, *within)
    if part is None:
        return
    # Time off may begin at the earliest possible instant, from which no length can be subtracted.
    off = ((max(opens, part[0]), closes) for opens, closes in rules.time_off if closes > part[0])
    closed = _closed_to_starts(rules, Busy(busy.provider, (*busy.others, *off)), rules.venue_gaps(*part))
    yield from rules.schedule.hours.fitting(*part, rules.schedule.step, rules.length, closed)


def is_free(rules: SlotRules, start: datetime, busy: Busy) -> bool:
    """Whether a session at `start` would overlap nothing that is taken."""
    return not any(opens < start < closes for opens, closes in _closed_to_starts(rules, busy))


def _closed_to_starts(rules: SlotRules, busy: Busy, more: Iterable[Span] = ()) -> Sequence[Span]:
    """The open intervals in which a start would overlap something taken, and those in `more`, in order and without
    overlaps.
    """
    before = rules.schedule.buffer_before
    after = rules.length + rules.schedule.buffer_after
    spans: Iterable[Span] = (
        *((opens - after, closes + before) for opens, closes in busy.provider),
        *((opens - rules.length, closes) for opens, closes in busy.others),
        *more,
    )
    return _joined_open(spans)


def _joined_open(spans: Iterable[Span]) -> Sequence[Span]:
    """Joins intervals that overlap, but not those that touch: the moment between two open intervals belongs to neither."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start < whole[-1][1]:
            if end > whole[-1][1]:
                whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole
