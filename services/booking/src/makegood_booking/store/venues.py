"""What availability told of venues: the digest of the code that each shows (JOIN-3). The latest by its version counts."""

from __future__ import annotations

from makegood_chassis.database import Queries, UnitOfWork

_KEEP = """
INSERT INTO venue_codes AS known (venue_id, version, digest) VALUES ($1, $2, $3)
ON CONFLICT (venue_id) DO UPDATE SET version = excluded.version, digest = excluded.digest
WHERE known.version < excluded.version
"""


async def keep_code(unit: UnitOfWork, venue_id: str, version: int, digest: str | None) -> None:
    """Keeps the digest of the venue's code; None: it shows none."""
    await unit.execute(_KEEP, venue_id, version, digest)


async def code_digest(queries: Queries, venue_id: str | None) -> str | None:
    """The digest of the code that the venue shows; None if it shows none, as far as booking has heard."""
    row = await queries.fetch_one("SELECT digest FROM venue_codes WHERE venue_id = $1", venue_id)
    return None if row is None else row[0]
