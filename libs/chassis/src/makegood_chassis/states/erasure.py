"""After an erasure, the state topics say nothing about the person, and never will again (NOTE-5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Queries

ERASED: Final = "erased"
"""Stands in `state_changes` instead of a topic: everything about the person in `key` is to be published, as tombstones."""

_ERASE: Final = """
WITH erased AS (
    INSERT INTO erased_people (person_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
)
INSERT INTO state_changes (topic, key) SELECT $2, unnest($1::text[])
"""


async def erase_states(queries: Queries, people: Sequence[str]) -> None:
    """Has tombstones published for everything about these people."""
    await queries.execute(_ERASE, sorted(people), ERASED)
