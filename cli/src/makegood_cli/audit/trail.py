"""Recomputes the hash chain of a service's access log, for comparison with the copy on its topic (SEC-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
from makegood_chassis.access.chain import PRUNE, Checker, Seal
from makegood_chassis.access.tables import COLUMNS

from makegood_cli.audit.topics import RecordedAccess

_LINKS: Final = f"""
SELECT number, row_id, row_hash, hash, {COLUMNS} FROM access_seals LEFT JOIN access_rows ON id = row_id ORDER BY number
"""  # noqa: S608 - constants
_PRUNED: Final = "SELECT coalesce(max(substr(entity, 6)::bigint), 0) FROM access_rows WHERE operation = $1 AND entity ~ '^seal:[0-9]+$'"
_LATE: Final = "interval '10 seconds'"
"""A row is normally sealed within a second."""
_WORKS: Final = (
    f"SELECT EXISTS (SELECT FROM processes WHERE role IN ('work', 'all') AND seen_at > clock_timestamp() - {_LATE})"  # noqa: S608
)
_UNSEALED: Final = f"""
SELECT id FROM access_rows WHERE NOT EXISTS (SELECT FROM access_seals WHERE row_id = id)
AND NOT EXISTS (SELECT FROM access_unsealed WHERE row_id = id AND since > clock_timestamp() - {_LATE}) ORDER BY id LIMIT 5
"""  # noqa: S608
_VANISHED: Final = f"""
SELECT row_id FROM access_unsealed WHERE since < clock_timestamp() - {_LATE}
AND NOT EXISTS (SELECT FROM access_rows WHERE id = row_id) ORDER BY row_id LIMIT 5
"""  # noqa: S608


@dataclass(frozen=True)
class Trail:
    """A service's chain. `broken`: the first error in it, if any. `pruned`: the last number that was deleted after its
    retention."""

    broken: str | None = None
    seals: dict[int, RecordedAccess] = field(default_factory=dict)
    pruned: int = 0
    unsealed: Sequence[int] = ()
    """Rows that are not in the chain although a process is running that seals rows."""
    vanished: Sequence[int] = ()
    """Rows that disappeared before they were sealed."""


async def read_trail(connection: asyncpg.Connection[Any]) -> Trail:
    """Reads and recomputes the chain, in the caller's transaction."""
    pruned: int = await connection.fetchval(_PRUNED, PRUNE)
    checker, broken, seals = Checker(pruned), None, {}
    async for row in connection.cursor(_LINKS, prefetch=5000):
        link = Seal(row["number"], row["row_id"], row["row_hash"], row["hash"])
        found = checker.take(link, None if row["id"] is None else dict(row))
        broken = broken or found
        seals[link.number] = RecordedAccess(link.row_id, link.row_hash.hex(), link.hash.hex())
    late = await connection.fetch(_UNSEALED) if await connection.fetchval(_WORKS) else []
    vanished = await connection.fetch(_VANISHED)
    return Trail(broken, seals, pruned, [row["id"] for row in late], [row["row_id"] for row in vanished])
