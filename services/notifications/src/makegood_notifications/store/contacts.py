"""People's contact details: personal data, which is read only to reach them, and by themselves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import Statement, any_of
from sqlalchemy import bindparam, false, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from makegood_notifications.domain.notices import DEFAULT_PREFERENCES, Preferences
from makegood_notifications.store.tables import people


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


_CONTACT: Final = [people.c[one.name] for one in fields(Contact)]
_GIVEN: Final = [people.c.id, *_CONTACT[:-1], people.c.updated_at]
_INSERT: Final = insert(people).values({each.name: bindparam(each.name, type_=each.type) for each in _GIVEN})
_SAVE: Final = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=[people.c.id],
        set_={
            **{each.name: _INSERT.excluded[each.name] for each in _GIVEN[1:]},
            "version": people.c.version + literal_column("1"),
        },
    ).returning(*_CONTACT)
)
_FIND: Final = select(*_CONTACT).where(people.c.id == bindparam("person_id"))
_READ: Final = Statement(_FIND)
_LOCK: Final = Statement(_FIND.with_for_update())
_END_MAILS: Final = Statement(
    update(people)
    .values(by_email=false(), updated_at=bindparam("now"), version=people.c.version + literal_column("1"))
    .where(people.c.id == bindparam("person_id"), people.c.by_email)
    .returning(*_CONTACT)
)
PREFERENCES: Final = ("locale", "by_whatsapp", "by_chat")
"""The columns of `Preferences`."""
_PREFERENCES: Final = Statement(select(people.c.id, *(people.c[one] for one in PREFERENCES)).where(any_of(people.c.id)))
_NAMES: Final = Statement(select(people.c.id, people.c.name).where(any_of(people.c.id)))
_TIME_ZONES: Final = Statement(select(people.c.id, people.c.time_zone).where(any_of(people.c.id)))


def preferences_of(row: Row, prefix: str = "") -> Preferences:
    """The preferences in the columns PREFERENCES, prefixed with `prefix`. They are null for a person who has not said
    how to reach them.
    """
    locale, whatsapp, chat = (row[f"{prefix}{one}"] for one in PREFERENCES)
    return DEFAULT_PREFERENCES if locale is None else Preferences(locale, whatsapp, chat)


async def preferences(queries: Queries, person_ids: Collection[str]) -> dict[str, Preferences]:
    """The preferences of those people who have stated any. DEFAULT_PREFERENCES apply to the others."""
    rows = await queries.fetch(_PREFERENCES(id=list(person_ids)))
    return {row["id"]: preferences_of(row) for row in rows}


async def locale(queries: Queries, person_id: str) -> str:
    """The language of messages to this person."""
    return (await preferences(queries, {person_id})).get(person_id, DEFAULT_PREFERENCES).locale


async def names(queries: Queries, person_ids: Collection[str]) -> dict[str, str]:
    """The names of those people who have given one."""
    return {row[0]: row[1] for row in await queries.fetch(_NAMES(id=list(person_ids)))}


async def time_zones(queries: Queries, person_ids: Collection[str]) -> dict[str, str]:
    """The time zones of those people who have given one."""
    return {row[0]: row[1] for row in await queries.fetch(_TIME_ZONES(id=list(person_ids)))}


async def find(queries: Queries, person_id: str, *, lock: bool = False) -> Contact | None:
    """The person's contact, locked if requested."""
    row = await queries.fetch_one((_LOCK if lock else _READ)(person_id=person_id))
    return Contact(*row) if row else None


async def end_mails(queries: Queries, person_id: str, now: datetime) -> Contact | None:
    """Turns off the person's e-mails. Returns None if they were off before."""
    row = await queries.fetch_one(_END_MAILS(person_id=person_id, now=now))
    return Contact(*row) if row else None


async def save(queries: Queries, person_id: str, contact: Contact, now: datetime) -> Contact:
    """Saves the contact. Returns it with its new version."""
    values = asdict(contact)
    del values["version"]
    row = await queries.fetch_one(_SAVE(id=person_id, updated_at=now, **values))
    assert row is not None
    return Contact(*row)
