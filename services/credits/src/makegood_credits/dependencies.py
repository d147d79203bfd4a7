"""What the handlers and routers of a credits process share."""

from __future__ import annotations

from dataclasses import dataclass

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database

from makegood_credits.payments.port import PaymentProvider


@dataclass(frozen=True, slots=True)
class Dependencies:
    database: Database
    clock: Clock
    payments: PaymentProvider | None
    """None if nothing can be bought or paid in this installation."""
    lapses_at_once: int = 500
    """The number of holds that may lapse in one transaction. The others wait for the next one."""
