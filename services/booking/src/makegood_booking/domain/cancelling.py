"""Cancelling: by a party (CANC-1, CANC-2), or because of something else."""

from __future__ import annotations

from datetime import datetime

from makegood_contracts.events import Actor, CancelCause, Party, SessionCancelled

from makegood_booking.domain.attendance import OVER_ALREADY, after, as_of
from makegood_booking.domain.session import AGREED, Changed, Refusal, Session, happened


def forfeits_now(session: Session, now: datetime) -> bool:
    """CANC-1: whether the member who cancels or moves now loses the credit. A booking that is not decided yet costs
    nothing, and neither does one that the provider moved and that has not begun (RESC-3)."""
    if session.over or session.status == "requested":
        return False
    return now > free_until(session)


def free_until(session: Session) -> datetime:
    """CANC-1: until when the member cancels without loss; after a provider's move up to the start (RESC-3): who
    was there is not to have it for nothing."""
    starts_at = session.booked.starts_at
    return starts_at if session.moved_by_provider else session.policy.free_until(starts_at)


def cancel(session: Session, by: Party, accept_forfeit: bool, now: datetime) -> Changed | Refusal:
    """CANC-1 for the member, who with less notice must accept the forfeit; CANC-2 for the provider, at any time."""
    session, before = as_of(session, now)
    if session.over:
        return OVER_ALREADY
    forfeits = by == "member" and forfeits_now(session, now)
    if forfeits and not accept_forfeit:
        return Refusal("forfeit-not-accepted")
    cancelled = happened(
        session,
        SessionCancelled,
        {"status": "cancelled"},
        cancelled_by=by,
        cancelled_at=now,
        forfeits=forfeits,
        was_confirmed=session.status in AGREED,
    )
    return after(before, cancelled)


def call_off(session: Session, by: Actor, cause: CancelCause, now: datetime) -> Changed:
    """Cancels without loss because of something else: the provider's time off, a change of provider (ROOM-3)."""
    session, before = as_of(session, now)
    if session.over:
        return Changed(session, before)
    cancelled = happened(
        session,
        SessionCancelled,
        {"status": "cancelled"},
        cancelled_by=by,
        cancelled_at=now,
        forfeits=False,
        was_confirmed=session.status in AGREED,
        cause=cause,
    )
    return after(before, cancelled)
