"""What a message says of its session: taken from the event, kept with the message, so later changes do not alter it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from makegood_contracts.events.sessions import SessionFact

from makegood_notifications.domain.invitations import Method


@dataclass(frozen=True, slots=True)
class Facts:
    """Ids and times, no names and no texts."""

    session_id: str
    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: str
    time_zone: str
    venue_id: str | None = None
    forfeits: bool = False
    method: Method | None = None
    sequence: int = 0


def facts_of(event: SessionFact, *, forfeits: bool, method: Method | None, sequence: int) -> Facts:
    """The facts of `event`, with the calendar message that goes along."""
    return Facts(
        session_id=event.session_id,
        room_id=event.room_id,
        member_id=event.member_id,
        provider_id=event.provider_id,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        length_minutes=event.length_minutes,
        modality=event.modality,
        time_zone=event.time_zone,
        venue_id=event.venue_id,
        forfeits=forfeits,
        method=method,
        sequence=sequence,
    )
