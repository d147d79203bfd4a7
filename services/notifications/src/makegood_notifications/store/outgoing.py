"""Writes what events lead to: deliveries, system messages in chats, and entries of the live stream, with one statement
per batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from makegood_chassis.database import UnitOfWork
from makegood_chassis.real_time import utc_now
from makegood_chassis.statements import Statement
from makegood_contracts.events.deliveries import Channel
from sqlalchemy import Boolean, Column, DateTime

from makegood_notifications.domain.allowances import MAILS, UNCOUNTED
from makegood_notifications.domain.deliveries import HELD_UP
from makegood_notifications.domain.notices import Notice
from makegood_notifications.store import allowances, withdrawals
from makegood_notifications.store.deliveries import LEASE, LEASED, LeasedDelivery, leased_deliveries, stored
from makegood_notifications.store.tables import bound, chat_messages, deliveries, names, stream, unnested

_log = structlog.get_logger(__name__)


class NewDelivery(msgspec.Struct):
    """A row of `deliveries`."""

    id: str
    event_id: str
    person_id: str
    channel: Channel
    template: str
    subject: str | None
    status: str
    session_id: str | None
    facts: dict[str, Any]
    correlation_id: str
    traceparent: str | None
    occurred_at: datetime
    sent_at: datetime | None
    leased: bool = False
    """Whether the e-mail is leased in the same transaction, unless an earlier one is still queued."""
    due_at: datetime | None = None
    """For a reminder: its moment. What went out before that moment (`told_before`) was another one."""


class NewMessage(msgspec.Struct):
    """A system message in `chat_messages`."""

    id: str
    room_id: str
    template: str
    text: str
    sent_at: datetime
    event_id: str


class NewEntry(msgspec.Struct):
    """A row of `stream`."""

    member_id: str
    provider_id: str | None
    kind: str
    data: dict[str, Any]


_DELIVERY: Final = [deliveries.c[one] for one in NewDelivery.__struct_fields__ if one not in ("leased", "due_at")]
_NEW_DELIVERY: Final = [*_DELIVERY, Column("leased", Boolean), Column("due_at", DateTime(timezone=True))]
_MESSAGE: Final = [chat_messages.c[one] for one in NewMessage.__struct_fields__]
_ENTRY: Final = list(stream.c)

_WRITTEN: Final = [column for column in _DELIVERY if column.key not in ("id", "status", "sent_at")]

_WRITE: Final = Statement(f"""
WITH told AS (
    DELETE FROM told_before USING (
        SELECT DISTINCT ON (delivery.id) delivery.id, earlier.delivery_id
        FROM {unnested("delivery", _NEW_DELIVERY)} JOIN told_before AS earlier USING (person_id, session_id, channel, template)
        WHERE delivery.status = 'queued'
          AND (earlier.starts_at IS NULL OR earlier.starts_at = (delivery.facts->>'starts_at')::timestamptz)
          AND (delivery.due_at IS NULL OR earlier.delivered_at >= delivery.due_at)
        ORDER BY delivery.id, earlier.delivered_at
    ) AS same
    WHERE told_before.delivery_id = same.delivery_id
    RETURNING same.id, told_before.delivery_id, told_before.delivered_at
), taken AS (
    INSERT INTO deliveries (id, status, sent_at, {names(_WRITTEN)}, attempts, reason, next_attempt_at)
    SELECT coalesce(delivery_id, id), CASE WHEN delivery_id IS NULL THEN status ELSE 'sent' END,
           coalesce(delivered_at, sent_at), {names(_WRITTEN)}, in_hand::integer, CASE WHEN in_hand THEN 'in-hand' END,
           clock_timestamp() + CASE WHEN in_hand THEN CAST(:lease AS interval) ELSE interval '0' END
    FROM (
        SELECT delivery.*, told.delivery_id, told.delivered_at, leased AND told.delivery_id IS NULL AND NOT EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.status = 'queued' AND earlier.person_id = delivery.person_id
              AND earlier.session_id = delivery.session_id AND earlier.channel = delivery.channel) AS in_hand
        FROM {unnested("delivery", _NEW_DELIVERY)} LEFT JOIN told USING (id)
    ) AS new
    ON CONFLICT (event_id, person_id, channel, template) DO NOTHING
    RETURNING deliveries.*, NULL::text AS before
), message AS (
    INSERT INTO chat_messages ({names(_MESSAGE)}, kind)
    SELECT {names(_MESSAGE)}, 'system' FROM {unnested("message", _MESSAGE)}
    ON CONFLICT (event_id, room_id, template) DO NOTHING
), entry AS (
    INSERT INTO stream ({names(_ENTRY)}) SELECT {names(_ENTRY)} FROM {unnested("entry", _ENTRY)}
)
{LEASED.replace("ORDER BY", "WHERE taken.reason = 'in-hand' ORDER BY")}
""")  # noqa: S608 (constants)
"""What went out before a restore (`told_before`) is entered as it was sent then, and not sent again."""


@dataclass(slots=True)
class Outgoing:
    """Collects a batch's messages in the order of their events."""

    deliveries: list[NewDelivery] = field(default_factory=list)
    messages: list[NewMessage] = field(default_factory=list)
    entries: list[NewEntry] = field(default_factory=list)
    mails: list[NewDelivery] = field(default_factory=list)
    """Those of `deliveries` that are e-mails to send."""

    def delivery(
        self,
        delivery_id: str,
        notice: Notice,
        channel: Channel,
        *,
        subject: str | None = None,
        sent_at: datetime | None = None,
        wanted: bool = True,
        due_at: datetime | None = None,
    ) -> None:
        """A message to a person, delivered with this transaction if `sent_at` is given, else queued. If it is not
        `wanted`, it is recorded as left out. `due_at`: the moment of a reminder.
        """
        content, source = notice.content, notice.source
        status = "skipped" if not wanted else "queued" if sent_at is None else "sent"
        new = NewDelivery(
            delivery_id, source.event_id, notice.person_id, channel, notice.template, subject, status,
            content.session_id, stored(content), source.correlation_id, source.traceparent, source.occurred_at, sent_at, due_at=due_at,
        )  # fmt: skip
        self.deliveries.append(new)
        if channel == "email" and status == "queued":
            self.mails.append(new)

    async def write(self, unit: UnitOfWork, capacity: int = 0) -> list[LeasedDelivery]:
        """NOTE-2: writes everything. What an event has already led to is left out.

        Leases up to `capacity` of the e-mails at once, as `deliveries.lease` would, and returns them with all that
        sending them needs. The caller may send them once the unit is committed.
        """
        if not (self.deliveries or self.messages or self.entries):
            return []
        left_out = await self._leave_out_too_many(unit)
        for mail in self._first_mails(capacity):
            mail.leased = True
        rows = await unit.fetch(
            _WRITE(
                now=unit.now,
                lease=LEASE,
                **bound("delivery", _NEW_DELIVERY, self.deliveries),
                **bound("message", _MESSAGE, self.messages),
                **bound("entry", _ENTRY, self.entries),
            )
        )
        if left_out:
            await withdrawals.follow(unit, [(delivery_id, "") for delivery_id in left_out])
        return await leased_deliveries(unit, rows)

    async def _leave_out_too_many(self, unit: UnitOfWork) -> list[str]:
        """Leaves out messages beyond what people may cause to one person, so that nobody can fill another's mailbox.

        A room can be left for a new one, so people are counted, not rooms. Returns the e-mails left out that withdraw
        an invitation, which must be done all the same.
        """
        caused: dict[str, list[NewDelivery]] = {}
        for one in self.deliveries:
            if one.status == "queued" and one.template not in UNCOUNTED:
                caused.setdefault(f"{one.person_id}/{one.facts['member_id']}/{one.channel}", []).append(one)
        if not caused:
            return []
        left = await allowances.use_many(unit, MAILS, {entity: len(these) for entity, these in caused.items()})
        beyond = [one for entity, these in caused.items() for one in these[left[entity] :]]
        if not beyond:
            return []
        for one in beyond:
            one.status = "skipped"
        self.mails = [one for one in self.mails if one.status == "queued"]
        _log.warning("mails left out: too many", count=len(beyond))
        return [
            one.id
            for one in self.deliveries
            if one.status == "skipped" and one.channel == "email" and one.facts["method"] == "CANCEL"
        ]

    def _first_mails(self, most: int) -> list[NewDelivery]:
        """E-mails that need not wait for another one of this batch: the only ones about a session to a person."""
        together: dict[object, list[NewDelivery]] = {}
        now = utc_now()
        for one in self.mails:
            together.setdefault((one.person_id, one.session_id) if one.session_id else one.id, []).append(one)
        alone = [these[0] for these in together.values() if len(these) == 1]
        # If it was delayed, the same batch may contain later events (NOTE-3).
        return [one for one in alone if now - one.occurred_at <= HELD_UP][:most]
