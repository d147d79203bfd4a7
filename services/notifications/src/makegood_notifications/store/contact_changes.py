"""E-mail addresses that wait to be confirmed by the link that was sent there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork

_SAVE: Final = """
INSERT INTO contact_changes (person_id, change_id, email, secret_hash, master_key, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (person_id) DO UPDATE SET change_id = excluded.change_id, email = excluded.email,
    secret_hash = excluded.secret_hash, master_key = excluded.master_key, expires_at = excluded.expires_at
"""
_PENDING: Final = "SELECT email FROM contact_changes WHERE person_id = $1 AND expires_at > $2"
_CONFIRM: Final = """
DELETE FROM contact_changes WHERE person_id = $1 AND secret_hash = $2 AND expires_at > $3 RETURNING email
"""


@dataclass(frozen=True, slots=True)
class ContactChange:
    """A new address of a person. It can be confirmed until `expires_at` (product time). `master_key` is the id of the
    key from which the secret was derived.
    """

    person_id: str
    change_id: str
    email: str
    secret_hash: bytes
    master_key: str
    expires_at: datetime


async def save(unit: UnitOfWork, change: ContactChange) -> None:
    """Saves the change. It replaces any that was waiting."""
    await unit.execute(
        _SAVE,
        change.person_id,
        change.change_id,
        change.email,
        change.secret_hash,
        change.master_key,
        change.expires_at,
    )


async def drop(unit: UnitOfWork, person_id: str) -> None:
    """Deletes the waiting change, if any. Its link stops working."""
    await unit.execute("DELETE FROM contact_changes WHERE person_id = $1", person_id)


async def pending(queries: Queries, person_id: str, now: datetime) -> str | None:
    """The waiting address, if any."""
    found: str | None = await queries.fetch_value(_PENDING, person_id, now)
    return found


async def confirm(unit: UnitOfWork, person_id: str, secret_hash: bytes) -> str | None:
    """The address that the secret confirms. It works once. None if the secret is wrong, used or expired."""
    found: str | None = await unit.fetch_value(_CONFIRM, person_id, secret_hash, unit.now)
    return found
