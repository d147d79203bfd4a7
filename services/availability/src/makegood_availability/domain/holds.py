"""A session's slot: what a request asks for, why it may be refused, and when a hold that nobody confirms lapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, TOO_LATE, Schedule, SlotRules, Venue
from makegood_contracts.events import SessionRequested
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.reasons import Reason

FIRST_SEQUENCE: Final = 1
"""The first event about a session's slot says that it is held or refused. Answers to moves follow, and its release is the last."""

SLOT_TAKEN = Reason(code="slot-taken", detail="Another session, or the buffer around it, overlaps that time.")
VENUE_TAKEN = Reason(code="venue-taken", detail="Another session uses the venue at that time.")
MEMBER_BUSY = Reason(code="member-busy", detail="The member is not available at that time.")
_CODES: Final = ("slot-not-offered", "slot-taken", "venue-taken", "member-busy")

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a provider and, in person, a venue have published. `time_off` includes at least what touches the session in
    question.
    """

    schedule: Schedule | None
    time_off: Sequence[Span]
    venue: Venue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSlot:
    """Who meets, when and where."""

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest(SessionSlot):
    """A slot that somebody wants to hold. `blocked` is the provider's time with buffers, [starts_at, ends_at) the session's."""

    blocked: Span
    hold_until: datetime

    @property
    def blocked_from(self) -> datetime:
        return self.blocked[0]

    @property
    def blocked_until(self) -> datetime:
        return self.blocked[1]


def slot_fields(slot: SessionSlot | SessionFact) -> dict[str, Any]:
    """The fields that every event about a slot has."""
    return {
        "session_id": slot.session_id,
        "provider_id": slot.provider_id,
        "member_id": slot.member_id,
        "venue_id": slot.venue_id,
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
    }


def slot_request(calendar: Calendar, event: SessionRequested) -> SlotRequest:
    """The slot that a booking asks for, with the provider's buffers."""
    session = (event.starts_at, event.ends_at)
    blocked = session if calendar.schedule is None else calendar.schedule.blocked(*session)
    return SlotRequest(**slot_fields(event), blocked=blocked, hold_until=event.hold_until)


def request_refusals(calendar: Calendar, event: SessionRequested, now: datetime) -> Sequence[Reason]:
    """AVAIL-2: why the slot is not offered, regardless of other bookings. Empty if it is (AVAIL-1)."""
    if event.hold_until <= now:
        return (TOO_LATE,)
    if calendar.schedule is None:
        return (NOT_PUBLISHED,)
    rules = SlotRules(
        calendar.schedule,
        calendar.time_off,
        calendar.venue,
        length_minutes=event.length_minutes,
        modality=event.modality,
        venue_id=event.venue_id,
        now=now,
        terms="provider" if event.booked_by == "provider" else "member",
    )
    return rules.refusals(event.starts_at)


def lapses_at(hold_until: datetime) -> datetime:
    """AVAIL-4: when a hold that is not firm is taken back: `hold_until`, rounded up to a full second.

    Never earlier, because booking may still reserve until then. Whole seconds let the holds of one second share a deadline.
    """
    whole = hold_until.replace(microsecond=0)
    return whole if whole == hold_until else whole + _SECOND


def is_reopened(ends_at: datetime, now: datetime) -> bool:
    """CANC-3: whether part of a released slot is still in the future, so that others can book it."""
    return ends_at > now


def in_order(reasons: Sequence[Reason]) -> list[Reason]:
    """One reason for each code, the schedule's first: the first one becomes the session's reason."""
    by_code: dict[str, Reason] = {}
    for reason in reasons:
        by_code.setdefault(reason.code, reason)
    return [by_code[code] for code in _CODES if code in by_code]


def first_come(requests: Sequence[SlotRequest]) -> tuple[list[SlotRequest], list[SlotRequest]]:
    """Splits a batch into the requests that overlap no earlier one of the batch, and the others (AVAIL-3).

    The first are inserted together, in an order that keeps workers from waiting for each other in a circle. The others
    follow one at a time. The database's constraints decide who gets a hold.
    """
    taken: dict[tuple[str, str], list[Span]] = {}
    first: list[SlotRequest] = []
    later: list[SlotRequest] = []
    for request in requests:
        session = (request.starts_at, request.ends_at)
        claims: list[tuple[tuple[str, str], Span]] = [
            (("provider", request.provider_id), request.blocked),
            (("member", request.member_id), session),
        ]
        if request.venue_id is not None:
            claims.append((("venue", request.venue_id), session))
        if any(_overlaps(span, taken.get(key, ())) for key, span in claims):
            later.append(request)
            continue
        first.append(request)
        for key, span in claims:
            taken.setdefault(key, []).append(span)
    return first, later


def _overlaps(span: Span, others: Sequence[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
