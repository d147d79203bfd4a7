"""The life of a hold: held until its request's `hold_until`, firm once the session is reserved, over at its ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, TOO_LATE, Schedule, SlotRules, Venue
from makegood_contracts.events import (
    Event,
    MemberNoShow,
    ProviderMissed,
    ReleaseCause,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionRejected,
    SessionRequested,
)
from makegood_contracts.reasons import Reason

ENDINGS: Final[Mapping[type[Event], ReleaseCause]] = {
    SessionRejected: "rejected",
    SessionDeclined: "declined",
    SessionExpired: "expired",
    SessionCancelled: "cancelled",
    SessionCompleted: "completed",
    ProviderMissed: "provider_missed",
    MemberNoShow: "member_no_show",
}
"""Every ending of a session releases its slot. CANC-3"""

HELD_SEQUENCE: Final = 1
"""The first event about a session: held or refused. Answers to moves come between, its release is the last."""

SLOT_TAKEN = Reason(code="slot-taken", detail="Another session, or the buffer around it, overlaps that time.")
VENUE_TAKEN = Reason(code="venue-taken", detail="Another session uses the venue at that time.")
MEMBER_BUSY = Reason(code="member-busy", detail="The member is not available at that time.")
_CODES: Final = ("slot-not-offered", "slot-taken", "venue-taken", "member-busy")

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """A hold that the schedule allows. `blocked` is the provider's time with buffers, [starts_at, ends_at) the session's."""

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None
    starts_at: datetime
    ends_at: datetime
    blocked: Span
    hold_until: datetime


def wish_of(request: SessionRequested, schedule: Schedule | None) -> Wish:
    """The hold that a request asks for."""
    session = (request.starts_at, request.ends_at)
    return Wish(
        session_id=request.session_id,
        provider_id=request.provider_id,
        member_id=request.member_id,
        venue_id=request.venue_id,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        blocked=session if schedule is None else schedule.blocked(*session),
        hold_until=request.hold_until,
    )


def withheld(
    request: SessionRequested,
    schedule: Schedule | None,
    time_off: Sequence[Span],
    venue: Venue | None,
    now: datetime,
) -> Sequence[Reason]:
    """Why the request is not offered, whoever else wants the time; empty if it is. AVAIL-1, AVAIL-2"""
    if request.hold_until <= now:
        return (TOO_LATE,)
    if schedule is None:
        return (NOT_PUBLISHED,)
    offer = SlotRules(
        schedule,
        time_off,
        venue,
        length_minutes=request.length_minutes,
        modality=request.modality,
        venue_id=request.venue_id,
        now=now,
        terms="provider" if request.booked_by == "provider" else "member",
    )
    return offer.refusals(request.starts_at)


def lapses(hold_until: datetime) -> datetime:
    """When a hold that is not firm by then is taken back: `hold_until`, up to the next full second. AVAIL-4

    Never before, for booking may still reserve until then. Whole seconds let the holds of a second share one deadline.
    """
    whole = hold_until.replace(microsecond=0)
    return whole if whole == hold_until else whole + _SECOND


def reopened(ends_at: datetime, now: datetime) -> bool:
    """Whether some of a released slot still lies ahead, for others to book. CANC-3"""
    return ends_at > now


def in_order(reasons: Sequence[Reason]) -> list[Reason]:
    """One reason a code, the schedule's first: the first one becomes the session's reason."""
    by_code: dict[str, Reason] = {}
    for reason in reasons:
        by_code.setdefault(reason.code, reason)
    return [by_code[code] for code in _CODES if code in by_code]


def first_come(wishes: Sequence[Wish]) -> tuple[list[Wish], list[Wish]]:
    """Parts the wishes of a batch: those that no earlier one of the batch is in the way of, and the others. AVAIL-3

    The first are inserted together, in an order that keeps workers from waiting for each other in a circle; the others
    after them, each in its turn. Whether any of them is held, the database's constraints decide.
    """
    taken: dict[tuple[str, str], list[Span]] = {}
    first: list[Wish] = []
    later: list[Wish] = []
    for wish in wishes:
        session = (wish.starts_at, wish.ends_at)
        claims: list[tuple[tuple[str, str], Span]] = [
            (("provider", wish.provider_id), wish.blocked),
            (("member", wish.member_id), session),
        ]
        if wish.venue_id is not None:
            claims.append((("venue", wish.venue_id), session))
        if any(_meets(span, taken.get(key, ())) for key, span in claims):
            later.append(wish)
            continue
        first.append(wish)
        for key, span in claims:
            taken.setdefault(key, []).append(span)
    return first, later


def _meets(span: Span, others: Sequence[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
