"""People's contact details: personal data, read only to reach them and by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from makegood_chassis.database import Queries

_COLUMNS = "name, email, phone, time_zone, locale, by_email, by_whatsapp, by_chat, version"

_SAVE = f"""
INSERT INTO people (id, name, email, phone, time_zone, locale, by_email, by_whatsapp, by_chat, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, email = excluded.email, phone = excluded.phone, time_zone = excluded.time_zone,
    locale = excluded.locale, by_email = excluded.by_email, by_whatsapp = excluded.by_whatsapp,
    by_chat = excluded.by_chat, updated_at = excluded.updated_at, version = people.version + 1
RETURNING {_COLUMNS}
"""  # noqa: S608 (constant columns)


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person is reached, and what they prefer."""

    name: str
    email: str
    phone: str | None
    time_zone: str
    locale: str
    by_email: bool
    by_whatsapp: bool
    by_chat: bool
    version: int = 0


async def find(queries: Queries, person_id: str, *, lock: bool = False) -> Contact | None:
    """The person's contact, locked for a change if asked."""
    statement = f"SELECT {_COLUMNS} FROM people WHERE id = $1"  # noqa: S608 (constant columns)
    row = await queries.fetch_one(statement + (" FOR UPDATE" if lock else ""), person_id)
    return Contact(*row) if row else None


async def save(queries: Queries, person_id: str, contact: Contact, now: datetime) -> Contact:
    """Writes the contact; answers it with its new version."""
    row = await queries.fetch_one(
        _SAVE,
        person_id,
        contact.name,
        contact.email,
        contact.phone,
        contact.time_zone,
        contact.locale,
        contact.by_email,
        contact.by_whatsapp,
        contact.by_chat,
        now,
    )
    if row is None:
        raise RuntimeError("the statement always returns a row")
    return Contact(*row)
