"""Deliveries: the queue of those to be sent, and the list of all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import Statement
from makegood_contracts.events.deliveries import Channel
from makegood_contracts.ids import made_at
from sqlalchemy import Boolean, Column, Interval, Text

from makegood_notifications.domain.deliveries import CATCHES_UP, LEADS_TO_TIMES, TAKES_ITS_PLACE, CurrentState
from makegood_notifications.domain.notices import Content, Notice, Source
from makegood_notifications.domain.venues import NO_VENUES, Venue, Venues
from makegood_notifications.store import remarks
from makegood_notifications.store.tables import bound, deliveries, unnested

LEASE: Final = timedelta(seconds=90)
"""How long a leased delivery belongs to one worker."""
VENUES: Final = """CASE WHEN coalesce({facts}->>'venue_id', {facts}->'more'->>'was_venue_id', {now}) IS NOT NULL THEN (
            SELECT jsonb_object_agg(venues.id, jsonb_build_object('name', venues.name, 'place', venues.place)) FROM venues
            WHERE venues.id IN ({facts}->>'venue_id', {facts}->'more'->>'was_venue_id', {now})) END"""
"""The current names of the venues in a notice, and of the venue `now`. Read it with `venues_of`."""

_OVERTAKEN: Final = f"""taken.template IN {CATCHES_UP} AND sessions.status IN ('reserved', 'confirmed')
            AND (sessions.starts_at, sessions.ends_at, sessions.venue_id, sessions.time_zone) IS DISTINCT FROM (
                (taken.facts->>'starts_at')::timestamptz, (taken.facts->>'ends_at')::timestamptz, taken.facts->>'venue_id',
                taken.facts->>'time_zone')"""
"""Whether the message must be sent although what it says about its session is no longer true. This is rare."""

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
"""Whether the times to which the message leads can be booked. A miss reopens a room, unless the member closed it
(MISS-4). If an earlier release closed it, it is not known who did.
"""

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
              AND offers.starts_at = (taken.facts->>'starts_at')::timestamptz AND offers.lapses_at > :now) END AS offer_open,
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
            WHERE contact_changes.person_id = taken.person_id AND expires_at > :now
              AND change_id::text = taken.facts->'more'->>'change_id') END AS pending,
       {VENUES.format(facts="taken.facts", now="sessions.venue_id")} AS venues
FROM taken
LEFT JOIN people ON people.id = taken.person_id
LEFT JOIN sessions ON sessions.id = taken.session_id
ORDER BY taken.position
"""  # noqa: S608 (constants)
"""Leased deliveries with all that sending them needs. Read it with `leased_deliveries`. `:now` is product time."""

_LEASE_DUE: Final = Statement(f"""
WITH due AS (
    SELECT id, reason FROM deliveries AS candidate
    WHERE status = 'queued' AND channel = :channel AND next_attempt_at <= statement_timestamp()
      AND NOT EXISTS (
          SELECT FROM deliveries AS earlier
          WHERE earlier.status = 'queued' AND earlier.person_id = candidate.person_id
            AND earlier.session_id = candidate.session_id AND earlier.position < candidate.position
            AND earlier.channel = candidate.channel)
    ORDER BY next_attempt_at, position
    LIMIT :most
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE deliveries SET next_attempt_at = clock_timestamp() + CAST(:lease AS interval), attempts = attempts + 1, reason = 'in-hand'
    FROM due WHERE deliveries.id = due.id
    RETURNING deliveries.*, due.reason AS before
)
{LEASED}
""")  # noqa: S608 (constants)

_ANY_DUE: Final = """
SELECT EXISTS (SELECT FROM deliveries WHERE status = 'queued' AND channel = $1 AND next_attempt_at <= statement_timestamp())
"""
_CONTENT: Final = [one.name for one in fields(Content) if one.name != "details"]
_FINISHED: Final = [
    *(deliveries.c[one] for one in ("id", "attempts", "status", "reason", "sent_at", "invited")),
    Column("told", Text),
]
_FINISH: Final = Statement(f"""
UPDATE deliveries SET status = done.status, reason = done.reason, sent_at = done.sent_at,
    invited = CASE WHEN withdrawn IS NULL THEN done.invited END
FROM {unnested("done", _FINISHED)}
WHERE deliveries.id = done.id AND deliveries.attempts = done.attempts AND deliveries.status = 'queued'
RETURNING deliveries.id, EXISTS (
    SELECT FROM deliveries AS later
    WHERE later.status = 'queued' AND later.person_id = deliveries.person_id AND later.session_id = deliveries.session_id
      AND later.position > deliveries.position AND later.channel = deliveries.channel) AS waited_for,
    CASE WHEN done.told IS NOT NULL THEN EXISTS (
        SELECT FROM deliveries AS earlier
        WHERE earlier.session_id = deliveries.session_id AND earlier.person_id = deliveries.person_id
          AND lower(earlier.invited) <> lower(done.told)) ELSE false END AS invited_elsewhere
""")  # noqa: S608 (constants)

_POSTPONED: Final = [deliveries.c.id, deliveries.c.attempts, Column("pause", Interval), Column("counts", Boolean)]
_POSTPONE: Final = Statement(f"""
UPDATE deliveries SET next_attempt_at = clock_timestamp() + later.pause,
    reason = NULL, attempts = deliveries.attempts - CASE WHEN later.counts THEN 0 ELSE 1 END
FROM {unnested("later", _POSTPONED)}
WHERE deliveries.id = later.id AND deliveries.attempts = later.attempts AND deliveries.status = 'queued'
""")  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class PendingAddress:
    """A new address, and what its secret is derived from."""

    email: str
    change_id: str
    master_key: str


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A delivery that was leased to be sent, with all that it needs. `email` is None if the person has no contact."""

    id: str
    person_id: str
    channel: Channel
    notice: Notice
    attempts: int
    uncertain: bool
    """Whether an earlier attempt died midway, so that nobody knows if the channel took the message."""
    withdrawn: str | None
    """Why it must not be tried again, as decided during an earlier attempt."""
    leased_at: float
    """When it was leased (`time.monotonic`)."""
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
    """For a message that withdraws an invitation: whether one was sent."""
    pending: PendingAddress | None = None
    """The address that this message asks to confirm. None if there is none any more."""
    recipient: str | None = None
    """The address to which it is sent instead of the person's."""
    venues: Venues = field(default_factory=dict)
    """The venues that the notice names, as far as they are known."""
    remark: str | None = field(default=None, repr=False)
    """What the other party wrote when it cancelled."""

    @property
    def lacks_venue(self) -> bool:
        """Whether it names a venue that is not known yet. This happens because topics have no order among each other."""
        return self.recipient is None and not self.notice.content.venue_ids <= self.venues.keys()

    @property
    def written_at(self) -> datetime:
        """When it was queued, in real time. After an outage, that is long after its event."""
        return made_at(self.id)


async def any_due(queries: Queries, channel: Channel) -> bool:
    """Whether a delivery of the channel is due. Costs little, for a worker that looks every second."""
    return bool(await queries.fetch_value(_ANY_DUE, channel))


async def lease(queries: Queries, most: int, channel: Channel, now: datetime) -> list[LeasedDelivery]:
    """Leases up to `most` due deliveries of a channel, oldest first, and reads the state of what they are about.

    Of one person and session it leases only the first; the next waits until that one is finished. `now` is product time.
    """
    rows = await queries.fetch(_LEASE_DUE(now=now, most=most, lease=LEASE, channel=channel))
    return await leased_deliveries(queries, rows)


def stored(content: Content) -> dict[str, Any]:
    """The JSON of the column `facts`. The details have been called `more` in it since the first release."""
    values: dict[str, Any] = {name: getattr(content, name) for name in _CONTENT}
    values["more"] = content.details
    return values


def content_from(facts: dict[str, Any]) -> Content:
    """The content in the column `facts`, whichever release wrote it."""
    return msgspec.convert({**facts, "details": facts.get("more")}, Content)


async def leased_deliveries(queries: Queries, rows: Sequence[Row]) -> list[LeasedDelivery]:
    """The deliveries in rows of LEASED."""
    told = [content_from(row["facts"]) for row in rows]
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
        leased_at=time.monotonic(),
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
    """The venues in the value of VENUES."""
    return {venue_id: Venue(**venue) for venue_id, venue in value.items()} if value else NO_VENUES


@dataclass(frozen=True, slots=True)
class Finished:
    """A delivery that is over. `invited`: the address that now has the invitation in its calendar. `told`: for a CANCEL, the address
    that has it, empty if there is none; None for anything else."""

    id: str
    attempts: int
    status: str
    reason: str | None
    sent_at: datetime | None
    invited: str | None
    told: str | None


@dataclass(frozen=True, slots=True)
class Postponed:
    """A delivery that waits for another attempt. `counts`: whether this attempt counts."""

    id: str
    attempts: int
    pause: timedelta
    counts: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """Deliveries whose lease was still valid when they were ended."""

    ids: set[str]
    waited_for: bool
    """Whether another delivery waited for one of them."""
    invited_elsewhere: set[str]
    """Those that are a CANCEL, whose person was invited at an address that was not told."""


async def finish(queries: Queries, done: Sequence[Finished]) -> Ended:
    """Ends deliveries."""
    rows = await queries.fetch(_FINISH(**bound("done", _FINISHED, done)))
    return Ended(
        {str(row["id"]) for row in rows},
        any(row["waited_for"] for row in rows),
        {str(row["id"]) for row in rows if row["invited_elsewhere"]},
    )


async def postpone(queries: Queries, later: Sequence[Postponed]) -> None:
    """Queues deliveries again."""
    await queries.execute(_POSTPONE(**bound("later", _POSTPONED, later)))


WITHDRAW: Final = """
status = CASE WHEN deliveries.reason = 'in-hand' THEN 'queued' ELSE 'skipped' END,
reason = CASE WHEN deliveries.reason = 'in-hand' THEN 'in-hand' ELSE '{why}' END,
withdrawn = '{why}'
"""
"""Assignments to a queued delivery that must not be sent. If it is being sent right now, its worker records what becomes of it,
and it is not tried again."""

_LEAVE_OUT = f"""
UPDATE deliveries SET {WITHDRAW.format(why="no-longer-true")}
FROM unnest($1::text[], $2::text[]) AS settled (person_id, invoice_id)
WHERE deliveries.status = 'queued' AND deliveries.person_id = settled.person_id
  AND deliveries.facts->'more'->>'invoice_id' = settled.invoice_id
"""  # noqa: S608 (constants)


async def leave_out_invoices(queries: Queries, settled: Sequence[tuple[str, str]]) -> None:
    """Leaves out what is queued about these invoices, given as (member, invoice)."""
    await queries.execute(_LEAVE_OUT, *[list(values) for values in zip(*settled, strict=True)])


_LEAVE_OUT_PASSED_OVER = f"""
UPDATE deliveries SET {WITHDRAW.format(why="no-longer-true")}
FROM unnest($1::text[], $2::text[]) AS changed (person_id, entry_id)
WHERE deliveries.status = 'queued' AND deliveries.person_id = changed.person_id
  AND deliveries.template = 'waitlist-passed-over' AND deliveries.facts->'more'->>'entry_id' = changed.entry_id
"""  # noqa: S608 (constants)


async def leave_out_passed_over(queries: Queries, changed: Sequence[tuple[str, str]]) -> None:
    """Leaves out queued messages that say why members could not book, given as (member, entry of the waitlist)."""
    await queries.execute(_LEAVE_OUT_PASSED_OVER, *[list(values) for values in zip(*changed, strict=True)])
