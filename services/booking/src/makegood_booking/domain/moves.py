"""RESC-1: how a requested move or extension (EXT-1) proceeds: it is funded, then carried out or refused.

The session keeps its time until the move is carried out. `rescheduling` decides who may ask for a move, `moving` of
credits what it costs, and `moves` of availability whether the new slot is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from makegood_contracts.events import (
    MoveCreditHeld,
    MoveCreditRefused,
    SessionExtended,
    SessionExtensionRefused,
    SessionExtensionRequested,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SlotMoved,
    SlotMoveRefused,
)
from makegood_contracts.reasons import Reason
from makegood_contracts.values import replace

from makegood_booking.domain.booking import amount_of
from makegood_booking.domain.presence import NOBODY
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.session import AGREED, Session, Transition, happened

NOT_IN_TIME = Reason(
    code="temporary-interruption", detail="The move could not be completed in time. Nothing was changed."
)


def answer_in_words(reasons: Sequence[Reason]) -> str | None:
    """RESC-2: a refusal in words that providers know. None if neither provider, venue nor member is the reason."""
    codes = {reason.code for reason in reasons}
    if codes & {"slot-not-offered", "slot-taken", "provider-unavailable"}:
        return "Provider is not available"
    if "venue-taken" in codes:
        return "Venue is not available"
    return "Member is not available" if "member-busy" in codes else None


def asked(session: Session, move: Reschedule) -> Transition:
    """A move needs its credit first, then the slot (RESC-1). An extension needs only the slot (EXT-1)."""
    if move.kind == "extension":
        return happened(
            session,
            SessionExtensionRequested,
            {"move": move},
            move_id=move.id,
            new_ends_at=move.ends_at,
            decide_by=move.decide_by,
        )
    return happened(session, SessionMoveRequested, {"move": move}, **_facts(move))


def move_credit_held(session: Session, event: MoveCreditHeld, now: datetime) -> Transition:
    """Credits holds what the session costs at its new time, with the present hold or a second one (RESC-1)."""
    move = session.move
    if move is None or move.id != event.move_id or move.state != "asked":
        return Transition(session)
    if now >= move.decide_by:
        return not_paid_for_in_time(session)
    added = event.funding if event.how == "added" else None
    funded = replace(move, state="funded", added=added, co_pay=amount_of(event.co_pay))
    return happened(session, SessionMoveFunded, {"move": funded}, **_facts(funded))


def move_credit_refused(session: Session, event: MoveCreditRefused, now: datetime) -> Transition:
    """There is no credit for the new time, so the session stays where it is (RESC-1)."""
    move = session.move
    if move is None or move.id != event.move_id or move.state != "asked":
        return Transition(session)
    return _refused(session, replace(move, purchasable=event.purchasable), tuple(event.reasons))


def not_paid_for_in_time(session: Session) -> Transition:
    """A move that credits did not answer in time is refused. Once it is paid for, only availability decides: it may
    have carried the move out already.
    """
    assert session.move is not None
    return _refused(session, session.move, (NOT_IN_TIME,))


def slot_move_refused(session: Session, event: SlotMoveRefused, now: datetime) -> Transition:
    """The new time is not available. Everything stays as it was (RESC-1, EXT-1)."""
    move = session.move
    if move is None or move.id != event.move_id or move.state != "funded":
        return Transition(session)
    return _refused(session, move, tuple(event.reasons))


def slot_moved(session: Session, event: SlotMoved, now: datetime) -> Transition:
    """Availability swapped the slots, so the session has its new time from now on (RESC-1, EXT-1).

    A session that ended in the meantime does not change: its ending gives back whatever is held, at whichever time.
    """
    move = session.move
    if move is None or move.id != event.move_id or move.state != "funded":
        return Transition(session)
    session = replace(session, blocked_from=event.blocked_from, blocked_until=event.blocked_until)
    return _extended(session, move, now) if move.kind == "extension" else _moved(session, move, now)


def _moved(session: Session, move: Reschedule, now: datetime) -> Transition:
    """The session at its new time. A provider's move of a confirmed session stays confirmed; any other must be
    confirmed again (CONF-2)."""
    old, policy = session.booked, session.policy
    confirmed = move.by == "provider" and session.status in AGREED
    confirm_by = session.confirm_by if confirmed else policy.confirm_by(move.starts_at, now)
    changes: dict[str, Any] = {
        "booked": _rebooked(session, move),
        "status": "confirmed" if confirmed else "reserved",
        "confirm_by": confirm_by,
        "move": None,
        "moved_by_provider": move.by == "provider",
        "moved_at_short_notice": move.by == "provider" and now > policy.free_until(move.starts_at),
        "reconfirmation": "due" if confirmed and now < policy.reconfirm_at(move.starts_at) else None,
        # A party who joined before came for the old time.
        "attendance": NOBODY,
        "outcome_asked": False,
    }
    if move.length_minutes != old.length_minutes:
        # As in a new booking, no extension is left, and credits voids its charge (EXT-1).
        changes |= {"extended_minutes": 0, "invoiced_minor": 0, "invoiced_early": False}
    if move.added is not None:  # its hold replaces the old one
        changes |= {
            "funding": move.added,
            "credit": "held" if move.added == "credit" else "none",
            "co_pay": move.co_pay,
        }
    return happened(
        session,
        SessionMoved,
        changes,
        move_id=move.id,
        moved_by=move.by,
        moved_at=now,
        old_starts_at=old.starts_at,
        old_ends_at=old.ends_at,
        old_venue_id=old.venue_id,
        forfeits=move.forfeits,
        caused_by_provider=move.caused_by_provider,
        confirmed=confirmed,
        confirm_by=None if confirmed else confirm_by,
        notify_member=move.notify_member,
        remind_at=policy.remind_at(move.starts_at, now) if confirmed else (),
    )


def _extended(session: Session, move: Reschedule, now: datetime) -> Transition:
    added = move.length_minutes - session.booked.length_minutes
    changes = {
        "booked": _rebooked(session, move),
        "move": None,
        "outcome_asked": False,
        "extended_minutes": session.extended_minutes + added,
        "invoiced_minor": session.invoiced_minor + (move.invoice.amount_minor if move.invoice else 0),
        "invoiced_early": session.invoiced_early or (move.invoice is not None and now < session.booked.starts_at),
    }
    return happened(
        session,
        SessionExtended,
        changes,
        move_id=move.id,
        old_ends_at=session.booked.ends_at,
        invoice=move.invoice,
    )


def _rebooked(session: Session, move: Reschedule) -> Any:
    return replace(
        session.booked,
        starts_at=move.starts_at,
        ends_at=move.ends_at,
        length_minutes=move.length_minutes,
        time_zone=move.time_zone,
        venue_id=move.venue_id,
    )


def _refused(session: Session, move: Reschedule, reasons: tuple[Reason, ...]) -> Transition:
    off = replace(move, state="refused", reasons=reasons)
    if move.kind == "extension":
        return happened(session, SessionExtensionRefused, {"move": off}, move_id=move.id, reasons=list(reasons))
    return happened(session, SessionMoveRefused, {"move": off}, **_facts(off), reasons=list(reasons))


def _facts(move: Reschedule) -> dict[str, Any]:
    return {
        "move_id": move.id,
        "moved_by": move.by,
        "new_starts_at": move.starts_at,
        "new_ends_at": move.ends_at,
        "new_length_minutes": move.length_minutes,
        "new_time_zone": move.time_zone,
        "new_venue_id": move.venue_id,
        "forfeits": move.forfeits,
        "caused_by_provider": move.caused_by_provider,
        "decide_by": move.decide_by,
        "specialty": move.specialty,
    }
