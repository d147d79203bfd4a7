"""People's contact details: personal data, read only to reach them and by themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood_chassis.database import Queries

from makegood_notifications.domain.notices import DEFAULT_PREFERENCES, Preferences

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
_END_MAILS = f"""
UPDATE people SET by_email = false, updated_at = $2, version = version + 1 WHERE id = $1 AND by_email RETURNING {_COLUMNS}
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


def preferences_of(row: Sequence[Any]) -> Preferences:
    """From (locale, by_whatsapp, by_chat); all None for a person who said nothing yet."""
    return DEFAULT_PREFERENCES if row[0] is None else Preferences(row[0], row[1], row[2])


async def preferences(queries: Queries, people: Collection[str]) -> dict[str, Preferences]:
    """Of those people who said something; for the others NOTHING_SAID holds."""
    rows = await queries.fetch(
        "SELECT id, locale, by_whatsapp, by_chat FROM people WHERE id = ANY($1::text[])", list(people)
    )
    return {row[0]: preferences_of(row[1:4]) for row in rows}


async def locale(queries: Queries, person_id: str) -> str:
    """The language of messages to this person."""
    return (await preferences(queries, {person_id})).get(person_id, DEFAULT_PREFERENCES).locale


async def names(queries: Queries, people: Collection[str]) -> dict[str, str]:
    """The names of those people who said one."""
    rows = await queries.fetch("SELECT id, name FROM people WHERE id = ANY($1::text[])", list(people))
    return {row[0]: row[1] for row in rows}


async def time_zones(queries: Queries, people: Collection[str]) -> dict[str, str]:
    """The zones that those people said they live in."""
    rows = await queries.fetch("SELECT id, time_zone FROM people WHERE id = ANY($1::text[])", list(people))
    return {row[0]: row[1] for row in rows}


async def find(queries: Queries, person_id: str, *, lock: bool = False) -> Contact | None:
    """The person's contact, locked for a change if asked."""
    statement = f"SELECT {_COLUMNS} FROM people WHERE id = $1"  # noqa: S608 (constant columns)
    row = await queries.fetch_one(statement + (" FOR UPDATE" if lock else ""), person_id)
    return Contact(*row) if row else None


async def end_mails(queries: Queries, person_id: str, now: datetime) -> Contact | None:
    """The person wants no e-mails any more; everything else stays. None where they wanted none before."""
    row = await queries.fetch_one(_END_MAILS, person_id, now)
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
