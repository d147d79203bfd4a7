"""Writes what events lead to: deliveries, system messages of the chat, entries of the stream. One statement a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from makegood_chassis.database import UnitOfWork
from makegood_contracts.events.deliveries import Channel

from makegood_notifications.domain.allowances import MAILS, UNCOUNTED
from makegood_notifications.domain.deliveries import HELD_UP
from makegood_notifications.domain.notices import Notice
from makegood_notifications.store import allowances, withdrawals
from makegood_notifications.store.deliveries import LEASE, LEASED, LeasedDelivery, leased_deliveries

_log = structlog.get_logger(__name__)

_WRITE = f"""
WITH taken AS (
    INSERT INTO deliveries (id, event_id, person_id, channel, template, subject, status, session_id, facts,
                            correlation_id, traceparent, occurred_at, sent_at, attempts, reason, next_attempt_at)
    SELECT id, event_id, person_id, channel, template, subject, status, session_id, facts, correlation_id, traceparent,
           occurred_at, sent_at, in_hand::integer, CASE WHEN in_hand THEN 'in-hand' END,
           clock_timestamp() + CASE WHEN in_hand THEN $2::interval ELSE interval '0' END
    FROM (
        SELECT new.*, taken AND NOT EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.status = 'queued' AND earlier.person_id = new.person_id
              AND earlier.session_id = new.session_id AND earlier.channel = new.channel) AS in_hand
        FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[],
                    $11::jsonb[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::boolean[])
             AS new (id, event_id, person_id, channel, template, subject, status, session_id, facts, correlation_id,
                     traceparent, occurred_at, sent_at, taken)
    ) AS new
    ON CONFLICT (event_id, person_id, channel, template) DO NOTHING
    RETURNING deliveries.*, NULL::text AS before
), message AS (
    INSERT INTO chat_messages (id, room_id, kind, template, text, sent_at, event_id)
    SELECT id, room_id, 'system', template, text, sent_at, event_id
    FROM unnest($17::uuid[], $18::uuid[], $19::text[], $20::text[], $21::timestamptz[], $22::uuid[])
         AS new (id, room_id, template, text, sent_at, event_id)
    ON CONFLICT (event_id, room_id, template) DO NOTHING
), entry AS (
    INSERT INTO stream (member_id, provider_id, kind, data)
    SELECT * FROM unnest($23::text[], $24::text[], $25::text[], $26::jsonb[])
)
{LEASED.replace("ORDER BY", "WHERE taken.reason = 'in-hand' ORDER BY")}
"""  # noqa: S608 (constants)


@dataclass(slots=True)
class Outgoing:
    """Collects a batch's messages in the order of their events."""

    deliveries: list[tuple[Any, ...]] = field(default_factory=list)
    messages: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    mails: list[int] = field(default_factory=list)
    """E-mails that wait to be sent: their places among `deliveries`."""

    def delivery(
        self,
        delivery_id: str,
        notice: Notice,
        channel: Channel,
        *,
        subject: str | None = None,
        sent_at: datetime | None = None,
        wanted: bool = True,
    ) -> None:
        """A message to a person, delivered with this transaction if `sent_at` is given, else queued. If it is not `wanted`,
        only that it was left out is written down."""
        content, source = notice.content, notice.source
        status = "skipped" if not wanted else "queued" if sent_at is None else "sent"
        if channel == "email" and status == "queued":
            self.mails.append(len(self.deliveries))
        self.deliveries.append(
            (delivery_id, source.event_id, notice.person_id, channel, notice.template, subject, status,
             content.session_id, content, source.correlation_id, source.traceparent, source.occurred_at, sent_at)
        )  # fmt: skip

    def message(
        self, message_id: str, room_id: str, template: str, text: str, sent_at: datetime, event_id: str
    ) -> None:
        """A system message in a room's chat."""
        self.messages.append((message_id, room_id, template, text, sent_at, event_id))

    def entry(self, member_id: str, provider_id: str | None, kind: str, data: dict[str, Any]) -> None:
        """An entry of the stream of the member, and of the provider if one is named."""
        self.entries.append((member_id, provider_id, kind, data))

    async def write(self, unit: UnitOfWork, capacity: int = 0) -> list[LeasedDelivery]:
        """Writes everything. What an event led to before is left out (NOTE-2).

        Leases up to `capacity` of the e-mails at once, as `deliveries.lease` would, and answers them with all that sending
        them needs. They are the caller's once the unit is committed.
        """
        if not (self.deliveries or self.messages or self.entries):
            return []
        left_out = await self._leave_out_too_many(unit)
        first = self._first_mails(capacity)
        rows = await unit.fetch(
            _WRITE,
            unit.now,
            LEASE,
            *_columns(self.deliveries, 13),
            [place in first for place in range(len(self.deliveries))],
            *_columns(self.messages, 6),
            *_columns(self.entries, 4),
        )
        if left_out:
            await withdrawals.follow(unit, [(delivery_id, "") for delivery_id in left_out])
        return await leased_deliveries(unit, rows)

    async def _leave_out_too_many(self, unit: UnitOfWork) -> list[str]:
        """Nobody fills another's mailbox: of what people cause, only so much goes out to one person; a room can be left for a new
        one, so it is by their ids. Answers those left out that take an invitation back, which has to be done all the same."""
        caused: dict[str, list[int]] = {}
        for place, (_, _, person_id, channel, template, _, status, _, content, *_) in enumerate(self.deliveries):
            if status == "queued" and template not in UNCOUNTED:
                caused.setdefault(f"{person_id}/{content.member_id}/{channel}", []).append(place)
        if not caused:
            return []
        left = await allowances.use_many(unit, MAILS, {entity: len(places) for entity, places in caused.items()})
        beyond = {place for entity, places in caused.items() for place in places[left[entity] :]}
        for place in beyond:
            row = self.deliveries[place]
            self.deliveries[place] = (*row[:6], "skipped", *row[7:])
        if beyond:
            self.mails = [place for place in self.mails if place not in beyond]
            _log.warning("mails left out: too many", count=len(beyond))
        mails = [self.deliveries[place] for place in sorted(beyond) if self.deliveries[place][3] == "email"]
        return [delivery[0] for delivery in mails if delivery[8].method == "CANCEL"]

    def _first_mails(self, most: int) -> set[int]:
        """The places of e-mails that need not wait for another one of this batch, nor know of it: the only ones of a person and
        session."""
        places: dict[object, list[int]] = {}
        now = datetime.now(UTC)
        for place in self.mails:
            delivery = self.deliveries[place]
            person_id, session_id = delivery[2], delivery[7]
            places.setdefault((person_id, session_id) if session_id else place, []).append(place)
        alone = [of_one[0] for of_one in places.values() if len(of_one) == 1]
        # Of what was held up, later news may stand in this very batch (NOTE-3).
        return set([place for place in alone if now - self.deliveries[place][11] <= HELD_UP][:most])


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(values) for values in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
