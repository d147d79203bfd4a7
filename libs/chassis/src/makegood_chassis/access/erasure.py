"""What an erasure takes away of the access log: the words. Who, what, when and the code of why are ids, and are kept."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.tables import ERASE_REMARKS
from makegood_chassis.database import Queries


async def erase_remarks(queries: Queries, people: Sequence[str]) -> None:
    """Takes away what callers said beside their reason for looking at these people's data. The chain holds without it."""
    await queries.execute(ERASE_REMARKS, list(people))
