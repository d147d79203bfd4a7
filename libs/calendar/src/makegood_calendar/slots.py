"""Slot search: the starts that are offered and free (AVAIL-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import SlotRules


@dataclass(frozen=True, slots=True)
class Busy:
    """What is taken already: the provider's time with the buffers of its sessions, and other time without any.

    `others` is the venue's, and that of the member who searches.
    """

    provider: Sequence[Span] = ()
    others: Sequence[Span] = ()


def window(offer: SlotRules, start: datetime, end: datetime) -> Span | None:
    """The part of [start, end) in which a session can start at all, or None: what a search has to look at."""
    earliest, latest = offer.bounds
    first = max(start, earliest)
    # The horizon itself is still offered, and `end` is exclusive.
    last = min(end, latest + latest.resolution)
    return (first, last) if first < last and not offer.kind_refusals else None


def free_starts(offer: SlotRules, within: Span, busy: Busy) -> Iterator[datetime]:
    """Every start within [from, to) that can be booked, in order. AVAIL-2

    Says what `refusals` says of each, without asking anew at every one what is true of all.
    """
    part = window(offer, *within)
    if part is None:
        return
    # Time off may reach back to the first of all instants, from which no length can be subtracted.
    off = ((max(opens, part[0]), closes) for opens, closes in offer.time_off if closes > part[0])
    closed = _closed_to_starts(offer, Busy(busy.provider, (*busy.others, *off)), offer.venue_gaps(*part))
    yield from offer.schedule.hours.fitting(*part, offer.schedule.step, offer.length, closed)


def is_free(offer: SlotRules, start: datetime, busy: Busy) -> bool:
    """Whether a session at `start` would overlap nothing that is taken."""
    return not any(opens < start < closes for opens, closes in _closed_to_starts(offer, busy))


def _closed_to_starts(offer: SlotRules, busy: Busy, more: Iterable[Span] = ()) -> Sequence[Span]:
    """The open intervals in which a start would overlap something taken, and `more` such, in order, none overlapping another."""
    before = offer.schedule.buffer_before
    after = offer.length + offer.schedule.buffer_after
    spans: Iterable[Span] = (
        *((opens - after, closes + before) for opens, closes in busy.provider),
        *((opens - offer.length, closes) for opens, closes in busy.others),
        *more,
    )
    return _joined_open(spans)


def _joined_open(spans: Iterable[Span]) -> Sequence[Span]:
    """Joins what overlaps, but not what only touches: the point between two open intervals belongs to neither."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start < whole[-1][1]:
            if end > whole[-1][1]:
                whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole
