"""Remarks about cancellations that become part of messages. They are encrypted with their author's key wherever they
are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.letters import Letter
from makegood_contracts.events import RemarkKeyPublished, SessionCancelled

from makegood_notifications.domain.notices import Content, readable
from makegood_notifications.store.revocations import next_sequence

_UNPUBLISHED: Final = "SELECT id FROM people WHERE NOT key_published ORDER BY id LIMIT $1"
_PUBLISHED: Final = """
UPDATE people SET key_published = true WHERE id = ANY($1::text[]) AND NOT key_published RETURNING id
"""
_LOST: Final = "UPDATE people SET key_published = false WHERE id = $1"


def _sealed(content: Content) -> tuple[Letter, str] | None:
    """The encrypted remark of a notice, and its author."""
    if content.details is None or content.details.sealed_remark is None or content.session_id is None:
        return None
    author = content.member_id if content.details.party == "member" else content.provider_id
    return Letter(SessionCancelled.__name__, content.session_id, author), content.details.sealed_remark


async def remarks(queries: Queries, told: Sequence[Content]) -> list[str | None]:
    """The remarks of these notices, in order. None if a notice has none, or its author was erased. Runs at most one
    statement, and none if no notice has a remark.
    """
    sealed = {place: found for place, content in enumerate(told) if (found := _sealed(content)) is not None}
    opened = await queries.personal_data.open_letters(queries, list(sealed.values()))
    texts = dict(zip(sealed, opened, strict=True))
    return [readable(text) if (text := texts.get(place)) else None for place in range(len(told))]


async def taken(unit: UnitOfWork, content: Content) -> str | None:
    """The remark of one notice, which `unit` stores elsewhere.

    If it does not open, it was encrypted for a key that its author no longer has. Then the present key is published again.
    """
    if (found := _sealed(content)) is None:
        return None
    (text,) = await unit.personal_data.take_letters(unit, [found])
    if text is None:
        await unit.execute(_LOST, found[0].author)
    return readable(text) if text else None


async def publish_keys(unit: UnitOfWork, people: Sequence[str]) -> None:
    """Tells booking with which key to encrypt the remarks of these people, if it does not know yet."""
    halves = await unit.personal_data.public_halves(unit, people)
    for row in await unit.fetch(_PUBLISHED, list(people)):
        event = RemarkKeyPublished(person_id=row[0], public_key=halves[row[0]])
        unit.publish(event, sequence=await next_sequence(unit, row[0]))


async def publish_missing(unit: UnitOfWork, at_once: int) -> int:
    """Publishes the keys of people who were known before keys were published. Returns how many there were."""
    people = [row[0] for row in await unit.fetch(_UNPUBLISHED, at_once)]
    if people:
        await publish_keys(unit, people)
    return len(people)
