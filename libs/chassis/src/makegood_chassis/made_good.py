"""Measures how long it takes to make good a session that its provider missed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from makegood_contracts.envelope import Received
from makegood_contracts.events import ProviderMissed

from makegood_chassis.database import UnitOfWork
from makegood_chassis.metrics import MADE_GOOD
from makegood_chassis.real_time import utc_now

Step = Literal["credit", "slot", "email"]


def made_good(step: Step, since: datetime) -> None:
    """Counts a step that is done, for a session that was missed at `since` (real time)."""
    MADE_GOOD.labels(step).observe(max(0.0, (utc_now() - since).total_seconds()))


def made_good_with(unit: UnitOfWork, step: Step, events: Iterable[Received[Any]]) -> None:
    """Counts the step for each `ProviderMissed` of these events, once the unit is committed."""
    moments = [received.time for received in events if isinstance(received.event, ProviderMissed)]
    if not moments:
        return

    def count() -> None:
        for moment in moments:
            made_good(step, moment)

    unit.after_commit(count)
