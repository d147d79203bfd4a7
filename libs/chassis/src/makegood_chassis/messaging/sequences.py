"""Checks that an entity's events come in the order of their numbers, by the last number handled of each entity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from makegood_contracts.envelope import Received

_ENTITIES: Final = 50_000
"""Entities that are remembered, about 10 MB; those whose last event is longest ago are forgotten first."""


class Sequences:
    """What this process has handled. It is kept in memory only: the tables have their own versions, so a statement
    is not worth its cost."""

    def __init__(self, most: int = _ENTITIES) -> None:
        self._most = most
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def repeated(self, fresh: Sequence[Received[Any]]) -> set[str]:
        """Ids of events whose number is not above that of an earlier event of the entity.

        Gaps are usual, because services skip types. Events that were put back from the dead letters come late by nature
        and are not checked.
        """
        ahead: dict[tuple[str, str], int] = {}
        found: set[str] = set()
        for received in fresh:
            if received.redrive:
                continue
            entity = (received.event.topic.name, received.key)
            last = ahead.get(entity)
            if last is None:
                last = self._last.get(entity, -1)
            if received.sequence <= last:
                found.add(received.id)
            else:
                ahead[entity] = received.sequence
        return found

    def handled(self, received: Sequence[Received[Any]]) -> None:
        """Notes these events, which are committed."""
        for one in received:
            entity = (one.event.topic.name, one.key)
            self._last[entity] = max(one.sequence, self._last.pop(entity, -1))
        while len(self._last) > self._most:
            self._last.popitem(last=False)
