"""What the routers and handlers of a booking process share."""

from __future__ import annotations

from dataclasses import dataclass

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.signals import Signals

from makegood_booking.handlers.batching import BookingBatcher
from makegood_booking.handlers.bookability import BookabilityService
from makegood_booking.join_links import JoinLinks
from makegood_booking.store.policies import Policies
from makegood_booking.store.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Dependencies:
    database: Database
    clock: Clock
    signals: Signals
    policies: Policies
    sessions: Sessions
    batcher: BookingBatcher
    """Takes booking requests, many in one transaction."""
    bookability: BookabilityService
    """Answers why nothing can be booked."""
    currencies: frozenset[str]
    """Those in which extensions are charged."""
    join_links: JoinLinks
    """Lets parties into their sessions."""
