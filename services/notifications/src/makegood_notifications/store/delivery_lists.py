"""Lists of deliveries: what was sent to whom, and a person's own messages in the app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import Statement, as_text
from sqlalchemy import Integer, bindparam, select

from makegood_notifications.domain.notices import Content
from makegood_notifications.domain.venues import Venues
from makegood_notifications.store import remarks
from makegood_notifications.store.deliveries import VENUES, content_from, venues_of
from makegood_notifications.store.tables import deliveries

_IN_APP = f"""
SELECT deliveries.id, template, session_id, facts, sent_at,
       (SELECT name FROM people WHERE people.id = CASE facts->>'provider_id'
            WHEN person_id THEN facts->>'member_id' ELSE facts->>'provider_id' END) AS other_name,
       {VENUES.format(facts="facts", now="NULL")} AS venues
FROM deliveries
WHERE person_id = $1 AND channel = 'in_app' AND status = 'sent' AND ($2::uuid IS NULL OR deliveries.id < $2)
ORDER BY deliveries.id DESC LIMIT $3
"""  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class InApp:
    """An entry of a person's list of messages."""

    id: str
    template: str
    session_id: str | None
    content: Content
    sent_at: datetime
    other_name: str
    venues: Venues
    remark: str | None = field(default=None, repr=False)


async def in_app(queries: Queries, person_id: str, *, before: str | None, limit: int) -> list[InApp]:
    """The newest `limit` messages of the person's own list older than `before`, newest first."""
    rows = await queries.fetch(_IN_APP, person_id, before, limit)
    contents = [content_from(row[3]) for row in rows]
    said = await remarks.remarks(queries, contents)
    return [
        InApp(
            str(row[0]),
            row[1],
            str(row[2]) if row[2] else None,
            content,
            row[4],
            row[5] or "",
            venues_of(row[6]),
            remark,
        )
        for row, content, remark in zip(rows, contents, said, strict=True)
    ]


_D: Final = deliveries.c
_LISTED: Final = select(
    as_text(_D.id),
    _D.person_id,
    _D.channel,
    _D.template,
    _D.subject,
    _D.status,
    as_text(_D.session_id),
    _D.sent_at,
)
_FILTERS: Final = {
    "person_id": _D.person_id == bindparam("person_id"),
    "session_id": _D.session_id == bindparam("session_id"),
    "before": _D.id < bindparam("before"),
}


@cache
def _list(filters: frozenset[str]) -> Statement:
    """The newest deliveries to which these filters apply."""
    wanted = _LISTED.where(*(_FILTERS[name] for name in sorted(filters)))
    return Statement(wanted.order_by(_D.id.desc()).limit(bindparam("limit", type_=Integer())))


async def listed(
    queries: Queries, *, person_id: str | None, session_id: str | None, before: str | None, limit: int
) -> Sequence[Row]:
    """The newest `limit` deliveries older than `before`, newest first: the fields of `DeliveryView`, in its order."""
    filters = {"person_id": person_id, "session_id": session_id, "before": before}
    given = {name: value for name, value in filters.items() if value is not None}
    return await queries.fetch(_list(frozenset(given))(**given, limit=limit))
