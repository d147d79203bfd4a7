"""The metrics that only booking has: how bookings are decided, and why they are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.metrics import counter, histogram
from makegood_contracts.events import SessionRejected, SessionReserved
from makegood_contracts.reasons import Reason

from makegood_booking.domain.session import Transition

DECISIONS: Final = histogram(
    "makegood_booking_decision_seconds",
    "seconds",
    "Time from a booking request to its decision, when availability and credits have answered.",
    "decision",
    service="booking",
)
REFUSALS: Final = counter(
    "makegood_booking_refusals_total",
    "reasons",
    "Reasons for which bookings were refused, at the request or by availability and credits.",
    "stage",
    "reason",
    service="booking",
)
_BY_DECISION: Final = {decision: DECISIONS.labels(decision) for decision in ("reserved", "rejected")}


def count_decisions(unit: UnitOfWork, changes: Sequence[tuple[Transition, Any]]) -> None:
    """Counts the bookings that these changes decide, once the unit is committed."""
    decided: list[tuple[str, float]] = []
    reasons: list[Reason] = []
    for changed, _ in changes:
        for event in changed.events:
            if isinstance(event, SessionReserved | SessionRejected):
                took = (unit.now - changed.session.booked.requested_at).total_seconds()
                decided.append(("reserved" if isinstance(event, SessionReserved) else "rejected", took))
            if isinstance(event, SessionRejected):
                reasons += event.reasons
    if not decided:
        return

    def count() -> None:
        for decision, seconds in decided:
            _BY_DECISION[decision].observe(max(0.0, seconds))
        count_refusals("decision", reasons)

    unit.after_commit(count)


def count_refusals(stage: str, reasons: Iterable[Reason]) -> None:
    """Counts the reasons. `stage`: `request` or `decision`."""
    for reason in reasons:
        REFUSALS.labels(stage, reason.code).inc()
