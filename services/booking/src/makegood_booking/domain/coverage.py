"""What a member's coverage and credits mean for rooms and remedies. What they pay for is in `makegood_plans`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from makegood_contracts.events import Specialty
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.funding import is_valid
from makegood_plans.published import PublishedLot


def latest(coverage: Sequence[CoveragePeriod], now: datetime) -> CoveragePeriod | None:
    """The plan that people mean by "the member's plan": the current one, or else the last one, or else the next one.
    `coverage` is ordered by time.
    """
    begun = [each for each in coverage if each.covers_from <= now]
    return begun[-1] if begun else next(iter(coverage), None)


def sessions_left(
    coverage: Collection[CoveragePeriod], lots: Collection[PublishedLot], specialty: Specialty, now: datetime
) -> bool:
    """Whether any session can be booked with the member's credits (ROOM-1).

    Either a current or later plan allows it, with a provider of this specialty; or a made-good credit does, whatever
    the plan (MISS-4).
    """
    left = [lot for lot in lots if lot.available]
    if any(lot.made_for_minutes is not None and is_valid(lot, now) for lot in left):
        return True
    return any(
        is_valid(lot, max(now, each.covers_from)) and lot.length_minutes in (None, length)
        for each in coverage
        if each.covers_until is None or each.covers_until > now
        for length in each.plan.lengths_of(specialty)
        for lot in left
    )
