"""Whether a session's hold may go to another time, place or length (RESC-1, RESC-2, EXT-1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, VENUE_CLOSED, SlotRules, Terms
from makegood_contracts.events import Party, SessionExtensionRequested, SessionMoveFunded
from makegood_contracts.reasons import Reason

from makegood_availability.domain.holds import Calendar, SessionSlot

NOT_IN_TIME: Final = Reason(code="temporary-interruption", detail="The change took too long and was not made.")
NO_HOLD: Final = Reason(code="temporary-interruption", detail="The session no longer holds a slot.")
STALE: Final = Reason(code="temporary-interruption", detail="The session has moved to another time.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotHold(SessionSlot):
    """A session's hold as it stands, with the provider's time that it blocks. `live` is false once it has ended."""

    blocked: Span
    live: bool


@dataclass(frozen=True, slots=True)
class Target:
    """The place that a hold should move to."""

    starts_at: datetime
    ends_at: datetime
    venue_id: str | None
    blocked: Span


def move_target(calendar: Calendar, event: SessionMoveFunded) -> Target:
    """The slot that a move asks for, with today's buffers."""
    session = (event.new_starts_at, event.new_ends_at)
    blocked = session if calendar.schedule is None else calendar.schedule.blocked(*session)
    return Target(*session, event.new_venue_id, blocked)


def extension_target(hold: SlotHold, event: SessionExtensionRequested) -> Target:
    """The longer slot, with the buffers that it was booked with (EXT-1)."""
    end = event.new_ends_at
    buffers = (hold.blocked[0], end + (hold.blocked[1] - hold.ends_at))
    return Target(hold.starts_at, end, hold.venue_id, buffers)


def terms_of(party: Party) -> Terms:
    """Whose rules a move must follow (RESC-2).

    Notice, grid and horizon protect the provider from others, so they apply only to the member's moves.
    """
    return "member" if party == "member" else "provider_moves"


def move_refusals(calendar: Calendar, event: SessionMoveFunded, now: datetime) -> Sequence[Reason]:
    """Why the new time is not offered, regardless of other bookings. Empty if it is (RESC-1, RESC-2)."""
    if event.decide_by <= now:
        return (NOT_IN_TIME,)
    if calendar.schedule is None:
        return (NOT_PUBLISHED,)
    # An agreed extension needs no offer, so a session that keeps its length is judged by the length that was booked.
    extended = event.extended_minutes if event.new_length_minutes == event.length_minutes else 0
    rules = SlotRules(
        calendar.schedule,
        calendar.time_off,
        calendar.venue,
        length_minutes=event.new_length_minutes,
        modality=event.modality,
        venue_id=event.new_venue_id,
        now=now,
        terms=terms_of(event.moved_by),
        extended_minutes=extended,
    )
    return rules.refusals(event.new_starts_at)


def extension_refusals(
    calendar: Calendar, hold: SlotHold, event: SessionExtensionRequested, now: datetime
) -> Sequence[Reason]:
    """Why the session cannot be extended. Empty if only other sessions could prevent it (EXT-1).

    The provider's hours and time off do not count, because the provider asks. The venue's hours do.
    """
    if event.decide_by <= now:
        return (NOT_IN_TIME,)
    if event.starts_at != hold.starts_at or event.new_ends_at <= hold.ends_at:
        return (STALE,)
    hours = None if calendar.venue is None else calendar.venue.hours
    return () if hours is None or hours.covers(hold.starts_at, event.new_ends_at) else (VENUE_CLOSED,)
