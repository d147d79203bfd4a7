"""What a service does with events and deadlines: plain functions that take a batch and a unit of work."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from makegood_contracts.envelope import Received
from makegood_contracts.events import Event

from makegood_chassis.database import UnitOfWork

D = TypeVar("D")
K = TypeVar("K")
H = TypeVar("H", bound=Callable[..., Awaitable[None]])
B = TypeVar("B")

EventHandler = Callable[[Sequence[Received[Any]], UnitOfWork], Awaitable[None]]
"""Handles events of one type, or of several (`takes_types_together`), in their topic's order, in one transaction.

None of them was handled before, or else the transaction is rolled back.

It must lock what it changes in a fixed order (sort by id), pass `cause=received.cause` to each publish, and raise for
an event that it cannot handle: then the batch is split until that event is alone, and it goes to the dead letters.
"""

EventHandlers = Mapping[type[Event], EventHandler]
"""Event type → handler, as the consumer needs it. The topics to read follow from it."""

IsRelevant = Callable[[Event], bool]
"""Whether an event of a handled type is relevant to the service. An event that is not touches no table."""


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline that has come. The handler's transaction deletes it; the handler may set it again."""

    entity_id: str
    due_at: datetime


DeadlineHandler = Callable[[Sequence[Due], UnitOfWork], Awaitable[None]]
"""Handles due deadlines of one kind, in one transaction. `unit.cause` is a new cause."""

DeadlineHandlers = Mapping[str, DeadlineHandler]
"""Deadline kind → handler, as the deadline worker needs it."""

Needing: TypeAlias = "Callable[[B, UnitOfWork], Awaitable[None]] | Callable[[B, UnitOfWork, D], Awaitable[None]]"
"""A handler in a service's routing table. Its third parameter, if it has one, takes the service's dependencies."""

EventRoutes: TypeAlias = "Mapping[type[Event], Needing[Sequence[Received[Any]], D]]"
"""A service's routing table of events."""

DeadlineRoutes: TypeAlias = "Mapping[str, Needing[Sequence[Due], D]]"
"""A service's routing table of deadlines."""


def takes_types_together(handler: H) -> H:
    """Marks a handler whose batches may hold all of its types at once, in their topics' order."""
    handler.types_together = True  # type: ignore[attr-defined]
    return handler


def together(handlers: EventHandlers) -> dict[type[Event], object]:
    """The types that come in one batch: those with the same value."""
    return {kind: handler for kind, handler in handlers.items() if hasattr(handler, "types_together")}


def bind(routes: Mapping[K, Needing[B, D]], dependencies: D) -> dict[K, Callable[[B, UnitOfWork], Awaitable[None]]]:
    """The table, with `dependencies` passed to the handlers that take a third parameter."""
    bound = {handler: _bound(handler, dependencies) for handler in routes.values()}
    return {key: bound[handler] for key, handler in routes.items()}


def _bound(handler: Any, dependencies: object) -> Any:
    wanted = [p for p in inspect.signature(handler).parameters.values() if p.default is p.empty]
    if len(wanted) < 3:
        return handler

    @functools.wraps(handler)
    async def bound(batch: Any, unit: UnitOfWork) -> None:
        await handler(batch, unit, dependencies)

    return bound
