"""The queue of deliveries, and the list of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from makegood_chassis.database import Queries, Row
from makegood_contracts.events.deliveries import Channel
from makegood_contracts.ids import made_at

from makegood_notifications.domain.deliveries import CATCHES_UP, LEADS_TO_TIMES, TAKES_ITS_PLACE, CurrentState
from makegood_notifications.domain.notices import Content, Notice, Source
from makegood_notifications.domain.venues import NO_VENUES, Venue, Venues
from makegood_notifications.store import remarks

LEASE: Final = timedelta(seconds=90)
"""How long a taken delivery is its taker's alone."""
TURN: Final = 30.0
"""Seconds within which its sending must begin, so that it ends within LEASE: with a slow mail server many wait for few
connections."""

VENUES: Final = """CASE WHEN coalesce({facts}->>'venue_id', {facts}->'more'->>'was_venue_id', {now}) IS NOT NULL THEN (
            SELECT jsonb_object_agg(venues.id, jsonb_build_object('name', venues.name, 'place', venues.place)) FROM venues
            WHERE venues.id IN ({facts}->>'venue_id', {facts}->'more'->>'was_venue_id', {now})) END"""
"""The venues that a notice names and the one `now`, as they are called now. Read it with `venues_of`."""

_OVERTAKEN: Final = f"""taken.template IN {CATCHES_UP} AND sessions.status IN ('reserved', 'confirmed')
            AND (sessions.starts_at, sessions.ends_at, sessions.venue_id, sessions.time_zone) IS DISTINCT FROM (
                (taken.facts->>'starts_at')::timestamptz, (taken.facts->>'ends_at')::timestamptz, taken.facts->>'venue_id',
                taken.facts->>'time_zone')"""
"""Whether the message is owed and says of its session what is not so any more: few do."""

_REBOOKABLE: Final = f"""CASE WHEN taken.template IN {LEADS_TO_TIMES} THEN
            NOT EXISTS (SELECT FROM erasures WHERE erasures.person_id = taken.facts->>'provider_id')
            AND coalesce((
                SELECT rooms.status = 'active' OR (
                    taken.template = 'provider-missed' AND coalesce(rooms.closed_by IN ('provider', 'support', 'system'), false)
                    AND NOT EXISTS (
                        SELECT FROM rooms AS another WHERE another.member_id = rooms.member_id
                          AND another.provider_id = rooms.provider_id AND another.status = 'active'))
                FROM rooms WHERE rooms.id = (taken.facts->>'room_id')::uuid), true)
       ELSE true END"""  # noqa: S608 (constants)
"""Whether times can be booked to which the message leads. After a miss that opens a room again which somebody else closed (MISS-4);
of rooms that an earlier release closed it is not known who did."""

LEASED: Final = f"""
SELECT taken.id, taken.event_id, taken.person_id, taken.channel, taken.template, taken.session_id, taken.facts, taken.correlation_id,
       taken.traceparent, taken.occurred_at, taken.attempts, taken.position, taken.before, taken.withdrawn, taken.recipient,
       sessions.status AS session_status, sessions.starts_at AS session_starts_at, sessions.ends_at AS session_ends_at,
       sessions.venue_id AS session_venue_id, sessions.time_zone AS session_time_zone,
       sessions.length_minutes AS session_length_minutes, sessions.invitation_sequence,
       CASE WHEN {_OVERTAKEN} THEN EXISTS (
            SELECT FROM deliveries AS later
            WHERE later.session_id = taken.session_id AND later.person_id = taken.person_id AND later.channel = taken.channel
              AND later.position > taken.position AND later.status IN ('queued', 'sent') AND later.withdrawn IS NULL
              AND (later.template = taken.template OR later.template IN {TAKES_ITS_PLACE})) ELSE false END AS told_later,
       {_REBOOKABLE} AS rebookable,
       people.name, people.email, people.phone, people.locale, people.by_email, people.by_whatsapp,
       (SELECT name FROM people WHERE people.id = CASE taken.facts->>'provider_id'
            WHEN taken.person_id THEN taken.facts->>'member_id' ELSE taken.facts->>'provider_id' END) AS other_name,
       CASE WHEN taken.template = 'waitlist-offered' THEN EXISTS (
            SELECT FROM offers WHERE offers.entry_id = taken.facts->'more'->>'entry_id'
              AND offers.starts_at = (taken.facts->>'starts_at')::timestamptz AND offers.lapses_at > $1) END AS offer_open,
       CASE WHEN taken.template = 'to-provider-changed' THEN (
            SELECT status = 'active' FROM rooms WHERE rooms.id::text = taken.facts->>'room_id') END AS room_open,
       taken.template LIKE 'erasure-%' AND EXISTS (
            SELECT FROM erasure_requests WHERE erasure_requests.person_id = taken.person_id) AS erasure_pending,
       CASE WHEN taken.facts->>'method' = 'CANCEL' THEN EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.session_id = taken.session_id AND earlier.person_id = taken.person_id AND earlier.channel = 'email'
              AND earlier.status = 'sent' AND earlier.facts->>'method' = 'REQUEST') ELSE true END AS invited,
       CASE WHEN taken.template = 'address-confirm' THEN (
            SELECT jsonb_build_object('email', email, 'change_id', change_id, 'master_key', master_key) FROM contact_changes
            WHERE contact_changes.person_id = taken.person_id AND expires_at > $1
              AND change_id::text = taken.facts->'more'->>'change_id') END AS pending,
       {VENUES.format(facts="taken.facts", now="sessions.venue_id")} AS venues
FROM taken
LEFT JOIN people ON people.id = taken.person_id
LEFT JOIN sessions ON sessions.id = taken.session_id
ORDER BY taken.position
"""  # noqa: S608 (constants)
"""Deliveries that were taken, with all that sending them needs; to be read with `taken_of`. `$1` is product time."""

_TAKE = f"""
WITH due AS (
    SELECT id, reason FROM deliveries AS candidate
    WHERE status = 'queued' AND channel = $4 AND next_attempt_at <= clock_timestamp()
      AND NOT EXISTS (
          SELECT FROM deliveries AS earlier
          WHERE earlier.status = 'queued' AND earlier.person_id = candidate.person_id
            AND earlier.session_id = candidate.session_id AND earlier.position < candidate.position
            AND earlier.channel = candidate.channel)
    ORDER BY next_attempt_at, position
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE deliveries SET next_attempt_at = clock_timestamp() + $3::interval, attempts = attempts + 1, reason = 'in-hand'
    FROM due WHERE deliveries.id = due.id
    RETURNING deliveries.*, due.reason AS before
)
{LEASED}
"""  # noqa: S608 (constants)

_FINISH = """
UPDATE deliveries SET status = done.status, reason = done.reason, sent_at = done.sent_at,
    invited = CASE WHEN withdrawn IS NULL THEN done.invited END
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
    AS done (id, attempts, status, reason, sent_at, invited)
WHERE deliveries.id = done.id AND deliveries.attempts = done.attempts AND deliveries.status = 'queued'
RETURNING deliveries.id, EXISTS (
    SELECT FROM deliveries AS later
    WHERE later.status = 'queued' AND later.person_id = deliveries.person_id AND later.session_id = deliveries.session_id
      AND later.position > deliveries.position AND later.channel = deliveries.channel)
"""

_PUT_OFF = """
UPDATE deliveries SET next_attempt_at = clock_timestamp() + later.pause,
    reason = NULL, attempts = deliveries.attempts - CASE WHEN later.counts THEN 0 ELSE 1 END
FROM unnest($1::uuid[], $2::int[], $3::interval[], $4::boolean[]) AS later (id, attempts, pause, counts)
WHERE deliveries.id = later.id AND deliveries.attempts = later.attempts AND deliveries.status = 'queued'
"""

_NEXT = "SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp()) FROM deliveries WHERE status = 'queued'"


@dataclass(frozen=True, slots=True)
class PendingAddress:
    """A new address, and what the secret is derived from that confirms it."""

    email: str
    change_id: str
    master_key: str


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A delivery that was taken to be sent, with all that it needs. `email` is None where the person has no contact."""

    id: str
    person_id: str
    channel: Channel
    notice: Notice
    attempts: int
    uncertain: bool
    """An earlier attempt died midway, so nobody knows whether the channel took the message."""
    withdrawn: str | None
    """Why it must not be tried again: so it was decided during an earlier attempt."""
    turn_by: float
    """The moment, as `time.monotonic` tells it, after which its sending must not begin."""
    state: CurrentState
    name: str
    email: str | None
    phone: str | None
    locale: str
    by_email: bool
    by_whatsapp: bool
    other_name: str
    """The name of the other party of the room."""
    invited: bool = True
    """Of a message that takes an invitation back: whether one went out."""
    pending: PendingAddress | None = None
    """The address that is to be confirmed by this message; None also if it is not any more."""
    recipient: str | None = None
    """The address to which it goes in place of the person's."""
    venues: Venues = field(default_factory=dict)
    """The venues that the notice names, as far as they are known."""
    remark: str | None = field(default=None, repr=False)
    """What the other party wrote when it cancelled."""

    @property
    def lacks_venue(self) -> bool:
        """Whether it names a venue of which nothing is known yet: topics keep no order among each other."""
        return self.recipient is None and not self.notice.content.venue_ids <= self.venues.keys()

    @property
    def written_at(self) -> datetime:
        """When it was queued, in real time. After an outage that is long after its event."""
        return made_at(self.id)


async def lease(queries: Queries, most: int, channel: Channel, now: datetime) -> list[LeasedDelivery]:
    """Takes due deliveries of a channel for LEASE, oldest first, with how what they tell of stands at that moment. Of one
    person and session only the first: the next waits for its end. `now` is product time."""
    return await leased_deliveries(queries, await queries.fetch(_TAKE, now, most, LEASE, channel))


async def leased_deliveries(queries: Queries, rows: Sequence[Row]) -> list[LeasedDelivery]:
    """The deliveries in rows of TAKEN."""
    told = [msgspec.convert(row["facts"], Content) for row in rows]
    said = await remarks.remarks(queries, told)
    return [_leased_delivery(row, content, remark) for row, content, remark in zip(rows, told, said, strict=True)]


def _leased_delivery(row: Row, content: Content, remark: str | None) -> LeasedDelivery:
    return LeasedDelivery(
        id=str(row["id"]),
        person_id=row["person_id"],
        channel=row["channel"],
        notice=Notice(
            row["template"],
            "provider" if row["person_id"] == content.provider_id else "member",
            content,
            Source(str(row["event_id"]), row["correlation_id"], row["traceparent"], row["occurred_at"]),
        ),
        attempts=row["attempts"],
        uncertain=row["before"] == "in-hand",
        withdrawn=row["withdrawn"],
        turn_by=time.monotonic() + TURN,
        state=CurrentState(
            row["session_status"],
            row["session_starts_at"],
            row["session_ends_at"],
            row["session_venue_id"],
            row["offer_open"],
            row["room_open"],
            row["erasure_pending"],
            row["session_time_zone"],
            row["session_length_minutes"],
            row["invitation_sequence"],
            row["told_later"],
            row["rebookable"],
        ),
        name=row["name"] or "",
        email=row["email"],
        phone=row["phone"],
        locale=row["locale"] or "en",
        by_email=bool(row["by_email"]),
        by_whatsapp=bool(row["by_whatsapp"]),
        other_name=row["other_name"] or "",
        invited=row["invited"],
        pending=PendingAddress(**row["pending"]) if row["pending"] else None,
        recipient=row["recipient"],
        venues=venues_of(row["venues"]),
        remark=remark,
    )


def venues_of(value: Mapping[str, Any] | None) -> Venues:
    """From the value of VENUES."""
    return {venue_id: Venue(**venue) for venue_id, venue in value.items()} if value else NO_VENUES


async def seconds_to_next(queries: Queries) -> float | None:
    """Seconds until the next delivery is due (negative: it is); None if the queue is empty."""
    value = await queries.fetch_value(_NEXT)
    return None if value is None else float(value)


async def finish(
    queries: Queries, done: Sequence[tuple[str, int, str, str | None, datetime | None, str | None]]
) -> tuple[set[str], bool]:
    """Ends deliveries: (id, attempts, status, reason, sent_at, address that is invited by it). Answers those that were still their taker's, and whether any
    other has waited for their end."""
    rows = await queries.fetch(_FINISH, *[list(values) for values in zip(*done, strict=True)])
    return {str(row[0]) for row in rows}, any(row[1] for row in rows)


async def put_off(queries: Queries, later: Sequence[tuple[str, int, timedelta, bool]]) -> None:
    """Queues deliveries again: (id, attempts, pause, whether the attempt counts)."""
    await queries.execute(_PUT_OFF, *[list(values) for values in zip(*later, strict=True)])


WITHDRAW: Final = """
status = CASE WHEN deliveries.reason = 'in-hand' THEN 'queued' ELSE 'skipped' END,
reason = CASE WHEN deliveries.reason = 'in-hand' THEN 'in-hand' ELSE '{why}' END,
withdrawn = '{why}'
"""
"""Assignments to a queued delivery that must not be sent. Of one that is just being sent nobody knows yet whether it goes out:
its sender says so, and it is not tried again."""

_LEAVE_OUT = f"""
UPDATE deliveries SET {WITHDRAW.format(why="no-longer-true")}
FROM unnest($1::text[], $2::text[]) AS settled (person_id, invoice_id)
WHERE deliveries.status = 'queued' AND deliveries.person_id = settled.person_id
  AND deliveries.facts->'more'->>'invoice_id' = settled.invoice_id
"""  # noqa: S608 (constants)


async def leave_out_invoices(queries: Queries, settled: Sequence[tuple[str, str]]) -> None:
    """Leaves out what is queued about these invoices: (member, invoice). One that is just being sent is not tried again."""
    await queries.execute(_LEAVE_OUT, *[list(values) for values in zip(*settled, strict=True)])


_LEAVE_OUT_PASSED_OVER = f"""
UPDATE deliveries SET {WITHDRAW.format(why="no-longer-true")}
FROM unnest($1::text[], $2::text[]) AS changed (person_id, entry_id)
WHERE deliveries.status = 'queued' AND deliveries.person_id = changed.person_id
  AND deliveries.template = 'waitlist-passed-over' AND deliveries.facts->'more'->>'entry_id' = changed.entry_id
"""  # noqa: S608 (constants)


async def leave_out_passed_over(queries: Queries, changed: Sequence[tuple[str, str]]) -> None:
    """Leaves out why these could not book, as far as it is queued: (member, entry of the waitlist), of which there is later news."""
    await queries.execute(_LEAVE_OUT_PASSED_OVER, *[list(values) for values in zip(*changed, strict=True)])


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
    """The person's own messages in the app, newest first, `limit` at most, older than `before`."""
    rows = await queries.fetch(_IN_APP, person_id, before, limit)
    told = [msgspec.convert(row[3], Content) for row in rows]
    said = await remarks.remarks(queries, told)
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
        for row, content, remark in zip(rows, told, said, strict=True)
    ]


_deliveries: Final = sa.table(
    "deliveries",
    *(sa.column(name) for name in ("person_id", "channel", "template", "subject", "status", "sent_at")),
    sa.column("id", sa.UUID(as_uuid=False)),
    sa.column("session_id", sa.UUID(as_uuid=False)),
)


async def listed(
    queries: Queries, *, person_id: str | None, session_id: str | None, before: str | None, limit: int
) -> Sequence[Row]:
    """Newest first, `limit` at most, older than `before`."""
    table = _deliveries.c
    statement = (
        sa.select(
            table.id, table.person_id, table.channel, table.template, table.subject, table.status, table.session_id,
            table.sent_at,
        )
        .order_by(table.id.desc())
        .limit(limit)
    )  # fmt: skip
    if person_id is not None:
        statement = statement.where(table.person_id == person_id)
    if session_id is not None:
        statement = statement.where(table.session_id == session_id)
    if before is not None:
        statement = statement.where(table.id < before)
    return await queries.fetch(statement)
