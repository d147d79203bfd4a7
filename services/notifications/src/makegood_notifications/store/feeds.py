"""Secret addresses of people's calendars. Of a secret only its SHA-256 is kept; it is 256 random bits, so no more is needed."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from makegood_chassis.database import Queries

_SAVE: Final = """
INSERT INTO calendar_feeds (person_id, secret_hash, made_at) VALUES ($1, $2, $3)
ON CONFLICT (person_id) DO UPDATE SET secret_hash = excluded.secret_hash, made_at = excluded.made_at
"""


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


async def save(queries: Queries, person_id: str, secret: str, now: datetime) -> None:
    """The person's one feed has this secret from now on; an earlier address leads nowhere any more."""
    await queries.execute(_SAVE, person_id, _hash(secret), now)


async def revoke(queries: Queries, person_id: str) -> None:
    """The person's address leads nowhere any more."""
    await queries.execute("DELETE FROM calendar_feeds WHERE person_id = $1", person_id)


async def owner(queries: Queries, secret: str) -> str | None:
    """Whose feed the secret opens. The index compares hashes, so how long it takes tells nothing of a secret."""
    found: str | None = await queries.fetch_value(
        "SELECT person_id FROM calendar_feeds WHERE secret_hash = $1", _hash(secret)
    )
    return found
