"""A hold goes to another time, place or length, or stays where it is (RESC-1, RESC-2, EXT-1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, VENUE_CLOSED, Schedule, SlotRules, Terms, Venue
from makegood_contracts.events import Party, SessionExtensionRequested, SessionMoveFunded
from makegood_contracts.reasons import Reason

NOT_IN_TIME: Final = Reason(code="temporary-interruption", detail="The change took too long and was not made.")
NO_HOLD: Final = Reason(code="temporary-interruption", detail="The session no longer holds a slot.")
STALE: Final = Reason(code="temporary-interruption", detail="The session has moved to another time.")


@dataclass(frozen=True, slots=True)
class Standing:
    """A session's hold as it stands; not `live`: it is over."""

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None
    starts_at: datetime
    ends_at: datetime
    blocked: Span
    live: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where a hold is to go. `blocked` is the provider's time with buffers."""

    starts_at: datetime
    ends_at: datetime
    venue_id: str | None
    blocked: Span


def moved_to(move: SessionMoveFunded, schedule: Schedule | None) -> Target:
    """The slot that a move asks for, with the buffers of today."""
    session = (move.new_starts_at, move.new_ends_at)
    return Target(*session, move.new_venue_id, session if schedule is None else schedule.blocked(*session))


def extended_to(extension: SessionExtensionRequested, hold: Standing) -> Target:
    """The longer slot, with the buffers that it was booked with. EXT-1"""
    end = extension.new_ends_at
    buffers = (hold.blocked[0], end + (hold.blocked[1] - hold.ends_at))
    return Target(hold.starts_at, end, hold.venue_id, buffers)


def terms_of(party: Party) -> Terms:
    """By whose terms a move is judged. RESC-2

    Notice, grid and horizon protect the provider from others, so they bind only the member.
    """
    return "member" if party == "member" else "provider_moves"


def move_withheld(
    move: SessionMoveFunded, schedule: Schedule | None, time_off: Sequence[Span], venue: Venue | None, now: datetime
) -> Sequence[Reason]:
    """Why the new time is not offered, whoever else wants it; empty if it is. RESC-1, RESC-2"""
    if move.decide_by <= now:
        return (NOT_IN_TIME,)
    if schedule is None:
        return (NOT_PUBLISHED,)
    # What an extension added to a session that keeps its length was agreed to: the kind is that of what was booked.
    kept = move.extended_minutes if move.new_length_minutes == move.length_minutes else 0
    offer = SlotRules(
        schedule,
        time_off,
        venue,
        length_minutes=move.new_length_minutes,
        modality=move.modality,
        venue_id=move.new_venue_id,
        now=now,
        terms=terms_of(move.moved_by),
        extended_minutes=kept,
    )
    return offer.refusals(move.new_starts_at)


def extension_withheld(
    extension: SessionExtensionRequested, hold: Standing, venue: Venue | None, now: datetime
) -> Sequence[Reason]:
    """Why the session cannot go on; empty if only others could be in its way. EXT-1

    The provider's hours and time off do not matter, for it is the provider who asks. A venue that closes does.
    """
    if extension.decide_by <= now:
        return (NOT_IN_TIME,)
    if extension.starts_at != hold.starts_at or extension.new_ends_at <= hold.ends_at:
        return (STALE,)
    if venue is not None and venue.hours is not None and not venue.hours.covers(hold.starts_at, extension.new_ends_at):
        return (VENUE_CLOSED,)
    return ()
