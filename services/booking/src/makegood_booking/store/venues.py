"""What availability published about venues: the digest of each one's check-in code (JOIN-3). The latest version counts."""

from __future__ import annotations

from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement

from makegood_booking.store.tables import upsert, venue_codes

_KEEP: Final = upsert(venue_codes, "version")
_DIGEST: Final = Statement("SELECT digest FROM venue_codes WHERE venue_id = :venue_id")


async def keep_code(unit: UnitOfWork, venue_id: str, version: int, digest: str | None) -> None:
    """Saves the digest of the venue's code. None if it shows none."""
    await unit.execute(_KEEP(venue_id=venue_id, version=version, digest=digest))


async def code_digest(queries: Queries, venue_id: str | None) -> str | None:
    """The digest of the venue's code. None if it shows none, as far as booking knows."""
    digest: str | None = await queries.fetch_value(_DIGEST(venue_id=venue_id))
    return digest
