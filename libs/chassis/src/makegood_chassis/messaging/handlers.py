"""What a service does with events and deadlines: functions that take a batch and a unit of work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood_contracts.envelope import Received
from makegood_contracts.events import Event

from makegood_chassis.database import UnitOfWork

EventHandler = Callable[[Sequence[Received[Any]], UnitOfWork], Awaitable[None]]
"""Handles events of one type that were not handled before, in their topic's order, in one transaction.

It must lock what it changes in a fixed order (sort by id), pass `cause=received.cause` to each publish, and raise for an
event it cannot take: then the batch is split until the culprit stands alone, and that one goes to the dead letters.
"""

EventHandlers = Mapping[type[Event], EventHandler]
"""Routing table of a service: event type → handler. The topics to read follow from it."""

IsRelevant = Callable[[Event], bool]
"""Whether a service has anything to do with an event of a type that it handles. What does not concern it touches no table."""


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline that has come. It is deleted with the handler's transaction; the handler may set it anew."""

    entity_id: str
    due_at: datetime


DeadlineHandler = Callable[[Sequence[Due], UnitOfWork], Awaitable[None]]
"""Handles deadlines of one kind whose moment has come, in one transaction. `unit.cause` starts a new story."""

DeadlineHandlers = Mapping[str, DeadlineHandler]
