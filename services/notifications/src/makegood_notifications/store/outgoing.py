"""Writes what events lead to: deliveries, system messages of the chat, entries of the stream. One statement a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from makegood_chassis.database import Queries
from makegood_contracts.events.deliveries import Channel

from makegood_notifications.domain.facts import Facts
from makegood_notifications.domain.origin import Origin

_WRITE = """
WITH delivery AS (
    INSERT INTO deliveries (id, event_id, person_id, channel, template, subject, status, session_id, facts,
                            correlation_id, traceparent, occurred_at, sent_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[],
                         $9::jsonb[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[])
    ON CONFLICT (event_id, person_id, channel, template) DO NOTHING
), message AS (
    INSERT INTO chat_messages (id, room_id, kind, template, text, sent_at, event_id)
    SELECT id, room_id, 'system', template, text, sent_at, event_id
    FROM unnest($14::uuid[], $15::uuid[], $16::text[], $17::text[], $18::timestamptz[], $19::uuid[])
         AS new (id, room_id, template, text, sent_at, event_id)
    ON CONFLICT (event_id, room_id, template) DO NOTHING
)
INSERT INTO stream (member_id, provider_id, kind, data)
SELECT * FROM unnest($20::text[], $21::text[], $22::text[], $23::jsonb[])
"""


@dataclass(slots=True)
class Outgoing:
    """Collects a batch's messages in the order of their events."""

    deliveries: list[tuple[Any, ...]] = field(default_factory=list)
    messages: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    mails: int = 0
    """E-mails that wait to be sent."""

    def delivery(
        self,
        delivery_id: str,
        origin: Origin,
        person_id: str,
        channel: Channel,
        template: str,
        facts: Facts,
        *,
        subject: str | None = None,
        sent_at: datetime | None = None,
        wanted: bool = True,
    ) -> None:
        """A message to a person; `sent_at` if it is delivered with this transaction, else it is queued. Not `wanted`: it is
        only noted that it was left out."""
        status = "skipped" if not wanted else "queued" if sent_at is None else "sent"
        self.mails += channel == "email" and status == "queued"
        self.deliveries.append(
            (delivery_id, origin.event_id, person_id, channel, template, subject, status, facts.session_id, facts,
             origin.correlation_id, origin.traceparent, origin.occurred_at, sent_at)
        )  # fmt: skip

    def message(
        self, message_id: str, room_id: str, template: str, text: str, sent_at: datetime, event_id: str
    ) -> None:
        """A system message in a room's chat."""
        self.messages.append((message_id, room_id, template, text, sent_at, event_id))

    def entry(self, member_id: str, provider_id: str | None, kind: str, data: dict[str, Any]) -> None:
        """An entry of the stream of the member, and of the provider if one is named."""
        self.entries.append((member_id, provider_id, kind, data))

    async def write(self, queries: Queries) -> None:
        """Writes everything; repeated deliveries and messages of one event are left out (NOTE-2)."""
        if self.deliveries or self.messages or self.entries:
            await queries.execute(
                _WRITE, *_columns(self.deliveries, 13), *_columns(self.messages, 6), *_columns(self.entries, 4)
            )


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(values) for values in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
