"""What the handlers and routers of a booking process share."""

from __future__ import annotations

from dataclasses import dataclass

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.signals import Signals

from makegood_booking.handlers.batching import BookingBatcher
from makegood_booking.join_links import JoinLinks
from makegood_booking.store.policies import PolicyCache


@dataclass(frozen=True, slots=True)
class Dependencies:
    database: Database
    clock: Clock
    signals: Signals
    policies: PolicyCache
    batcher: BookingBatcher
    """Takes booking requests, many in one transaction."""
    join_links: JoinLinks
    """Lets parties into their sessions."""
    currencies: frozenset[str]
    """Those in which extensions can be charged."""
    schedule_patience: float = 5.0
    """Seconds to wait for the event of a schedule that was published a moment ago."""
