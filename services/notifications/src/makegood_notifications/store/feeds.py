"""Secret addresses of calendar feeds. Only the SHA-256 of a secret is stored; it has 256 random bits, so that is enough."""

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
    """Saves the secret of the person's feed. An earlier address stops working."""
    await queries.execute(_SAVE, person_id, _hash(secret), now)


async def revoke(queries: Queries, person_id: str) -> None:
    """Deletes the person's feed. Its address stops working."""
    await queries.execute("DELETE FROM calendar_feeds WHERE person_id = $1", person_id)


async def owner(queries: Queries, secret: str) -> str | None:
    """The person whose feed the secret opens. The index compares hashes, so timing reveals nothing about a secret."""
    found: str | None = await queries.fetch_value(
        "SELECT person_id FROM calendar_feeds WHERE secret_hash = $1", _hash(secret)
    )
    return found
