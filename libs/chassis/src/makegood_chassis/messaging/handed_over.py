"""What this process has committed to the outbox and not sent yet. Its relay can send that without reading it back.

Order per key: a row goes out from here only if its entity's previous event was sent before, from here or from the table. If that
is not known, the table must be read, which has everything in order. It also has everything that was forgotten here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Final

from makegood_chassis.database import PublishedRow

_ROWS: Final = 10_000
"""Rows that are kept. If more wait, the broker is away, and the table keeps them."""
_ENTITIES: Final = 20_000
"""Entities whose last number is remembered, a few MB; those whose last event is longest ago are forgotten first."""


class HandedOver:
    """Use it only while this process is the one that sends; `begin` when it becomes that."""

    def __init__(self, most: int = _ROWS, entities: int = _ENTITIES) -> None:
        self._most = most
        self._entities = entities
        self._rows: list[PublishedRow] = []
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.look = True
        """Whether the table may hold something that must be sent, and that is not here."""

    def begin(self) -> None:
        """Forgets everything: another process may have sent in the meantime."""
        self._rows.clear()
        self._last.clear()
        self.look = True

    def add(self, rows: Iterable[PublishedRow]) -> None:
        """Takes rows that have just been committed."""
        self._rows += rows
        if len(self._rows) > self._most:
            self._rows.clear()
            self.look = True

    def take(self, most: int) -> list[PublishedRow]:
        """The first of the rows that may be sent, in the order of their ids."""
        self._rows.sort()
        rows, self._rows = self._rows[:most], self._rows[most:]
        ahead: dict[tuple[str, str], int] = {}
        taken: list[PublishedRow] = []
        for row in rows:
            entity = (row.record.topic, row.record.key)
            last = ahead.get(entity) or self._last.get(entity, 0)
            if row.sequence == last + 1:
                ahead[entity] = row.sequence
                taken.append(row)
            else:
                self.look = True
        return taken

    def read(self, ids: Collection[int]) -> None:
        """Notes which rows were read from the table, to be sent now."""
        self._rows = [row for row in self._rows if row.id not in ids]

    def sent(self, rows: Iterable[PublishedRow]) -> None:
        """Notes, in their order, which rows the broker has."""
        for row in rows:
            if row.sequence is not None:
                entity = (row.record.topic, row.record.key)
                self._last[entity] = row.sequence
                self._last.move_to_end(entity)
        while len(self._last) > self._entities:
            self._last.popitem(last=False)

    def __bool__(self) -> bool:
        return bool(self._rows)
