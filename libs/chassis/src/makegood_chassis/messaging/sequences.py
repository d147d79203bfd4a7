"""That an entity's events come in the order of their numbers: which number of each entity was handled last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from makegood_contracts.envelope import Received

_ENTITIES: Final = 50_000
"""Entities that are remembered, about 10 MB; those whose last event is longest ago are forgotten first."""


class Sequences:
    """What this process has handled. Kept in memory alone, for no statement is worth it: the tables know versions of their own."""

    def __init__(self, most: int = _ENTITIES) -> None:
        self._most = most
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def repeated(self, fresh: Sequence[Received[Any]]) -> set[str]:
        """Ids of those whose number another event of the entity had before, or a later one. Gaps are usual, since services
        skip types. What was put back from the dead letters comes late by its nature and is left alone."""
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
        """These are committed."""
        for one in received:
            entity = (one.event.topic.name, one.key)
            self._last[entity] = max(one.sequence, self._last.pop(entity, -1))
        while len(self._last) > self._most:
            self._last.popitem(last=False)
