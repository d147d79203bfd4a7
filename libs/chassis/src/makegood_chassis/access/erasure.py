"""What an erasure removes from the access log: the free texts. Everything else is ids and codes, and stays."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.tables import ERASE_REMARKS
from makegood_chassis.database import Queries


async def erase_remarks(queries: Queries, people: Sequence[str]) -> None:
    """Erases the free texts that callers gave with their reason for accessing these people's data. The chain stays
    valid.
    """
    await queries.execute(ERASE_REMARKS, list(people))
