"""NOTE-4: the live stream that client apps follow: the entries of the last 48 hours, in an order in which none is
missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from makegood_chassis.database import Queries

# A row is shown once no older transaction is open, so that no later commit can add rows behind the cursor.
_AFTER = """
SELECT txid::text AS txid, position, kind, data FROM stream
WHERE {party} = $1 AND (txid, position) > ($2::text::xid8, $3) AND txid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY txid, position LIMIT $4
"""
_AFTER_OF = {party: _AFTER.format(party=f"{party}_id") for party in ("member", "provider")}

_NOW = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"

# Only the first positions can be old: they rise with time.
_PRUNE = """
WITH gone AS (
    DELETE FROM stream WHERE position IN (
        SELECT position FROM (SELECT position, made_at FROM stream ORDER BY position LIMIT $2) AS first
        WHERE made_at < statement_timestamp() - $1::interval
    )
    RETURNING txid, position, member_id, provider_id
), highest AS (
    INSERT INTO stream_forgotten (person_id, txid, position)
    SELECT DISTINCT ON (person_id) person_id, txid, position
    FROM gone CROSS JOIN LATERAL (VALUES (member_id), (provider_id)) AS party (person_id)
    WHERE person_id IS NOT NULL
    ORDER BY person_id, txid DESC, position DESC
    ON CONFLICT (person_id) DO UPDATE SET txid = excluded.txid, position = excluded.position
    WHERE (stream_forgotten.txid, stream_forgotten.position) < (excluded.txid, excluded.position)
)
SELECT FROM gone
"""
RETENTION: Final = (_PRUNE, timedelta(hours=48))

# What an earlier release deleted may have been anybody's: stream_pruned.
_IS_PRUNED = """
SELECT EXISTS (SELECT FROM stream_forgotten WHERE person_id = $3 AND (txid, position) > ($1::text::xid8, $2))
    OR EXISTS (SELECT FROM stream_pruned WHERE (txid, position) > ($1::text::xid8, $2))
"""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the stream, after the entry it names. `text` is the id of a server-sent event."""

    txid: int
    number: int

    @property
    def text(self) -> str:
        return f"{self.txid}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """The position in the id of an event. None if it is not one of ours."""
        txid, dash, number = text.partition("-")
        if not (dash and txid.isdecimal() and number.isdecimal() and txid.isascii() and number.isascii()):
            return None
        position = cls(int(txid), int(number))
        return position if position.txid < 2**63 and position.number < 2**63 else None


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry: its place, its kind such as `session.changed`, and ids."""

    position: Position
    kind: str
    data: dict[str, Any]


async def end(queries: Queries) -> Position:
    """The place after everything that is visible now."""
    return Position(int(await queries.fetch_value(_NOW)) - 1, 2**63 - 1)


async def entries(queries: Queries, person_id: str, after: Position, limit: int) -> Sequence[StreamEntry]:
    """At most `limit` entries after `after` for the person, as a member or as a provider, in order."""
    found: dict[Position, StreamEntry] = {}
    for statement in _AFTER_OF.values():
        for row in await queries.fetch(statement, person_id, str(after.txid), after.number, limit):
            position = Position(int(row[0]), row[1])
            found[position] = StreamEntry(position, row[2], row[3])
    return [found[position] for position in sorted(found)[:limit]]


async def is_pruned(queries: Queries, person_id: str, after: Position) -> bool:
    """Whether any entry after `after` has been deleted for the person."""
    return bool(await queries.fetch_value(_IS_PRUNED, str(after.txid), after.number, person_id))
