"""Writes what requests show before they are answered; requests that come at the same time share a statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makegood_chassis.access.request import Accesses
from makegood_chassis.access.tables import RECORD_MANY
from makegood_chassis.database import Database
from makegood_chassis.group_commit import GroupWrite

_Row = tuple[Any, ...]


class AccessWriter:
    """One per process that serves requests."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: GroupWrite[Sequence[_Row]] = GroupWrite(database, _statement, at_once=1, name="accesses")

    async def keep(self, accesses: Accesses) -> None:
        """Writes what was noted. When this returns, it is committed."""
        if accesses.reason is not None and accesses.reason.remark is not None:  # its words go to a table of their own
            async with self._database.reading() as queries:
                await accesses.keep(queries)
            return
        about = accesses.about()
        await self._rows.submit(accesses.rows(about))
        accesses.committed(about)


def _statement(batch: Sequence[Sequence[_Row]]) -> tuple[str, Sequence[list[Any]]]:
    columns = zip(*(row for rows in batch for row in rows), strict=True)
    return RECORD_MANY, [list(column) for column in columns]
