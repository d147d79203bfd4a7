"""Cancelling: by a party (CANC-1, CANC-2), or because of something else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makegood_contracts.events import Actor, CancelCause, Party, SessionCancelled

from makegood_booking.domain.attendance import OVER_ALREADY, after, as_of, next_due, verdict_of
from makegood_booking.domain.session import (
    AGREED,
    Refusal,
    Session,
    Transition,
    happened,
    in_room,
    was_present,
)


def forfeits_now(session: Session, now: datetime) -> bool:
    """CANC-1: whether the member who cancels now loses the credit. A booking that is not decided yet costs nothing."""
    return _forfeits(session, now, _cancels_free_until(session))


def forfeits_by_moving(session: Session, now: datetime) -> bool:
    """Whether the member who moves now loses the credit (RESC-1): as with cancelling, but a booking does not cool off."""
    return _forfeits(session, now, moves_free_until(session))


def free_until(session: Session, now: datetime) -> datetime:
    """Until when the member cancels without loss, as things stand now (CANC-1). From the start on the next moment at which
    something happens by itself ends that, if not somebody's coming does."""
    starts_at, until = session.booked.starts_at, _cancels_free_until(session)
    if now < starts_at or not cancellable(session, now) or forfeits_now(session, now):
        return min(until, starts_at)
    ends = next_due(session) or session.booked.ends_at
    return ends if favoured(session) or _waits_for_provider(session) else min(until, ends)


def moves_free_until(session: Session) -> datetime:
    """Until when the member can move the session without loss (RESC-1, RESC-3). It cannot be moved once it has begun."""
    starts_at = session.booked.starts_at
    return starts_at if favoured(session) else session.policy.free_until(starts_at)


def _cancels_free_until(session: Session) -> datetime:
    """Moves do not count; the time to think it over runs from the booking alone (CANC-1)."""
    return max(moves_free_until(session), session.policy.cooled_off_at(session.booked.requested_at))


def favoured(session: Session) -> bool:
    """RESC-3: whether the provider changed what was agreed on (EXT-1)."""
    return session.moved_by_provider or session.invoiced_early


def _waits_for_provider(session: Session) -> bool:
    """Whether the provider of a session that has begun is not there, whoever dropped out first (CANC-1). Once they were together
    for long enough that it counts as held (JOIN-2), nobody waits any more. In person a late check-in decides nothing, but who
    checked in waits for a provider who did not (JOIN-3)."""
    if in_room(session, "provider"):
        return False
    if session.attendance.met:
        return session.attendance.together < timedelta(minutes=session.policy.together_minutes)
    found = verdict_of(session).outcome
    return found == "provider_missed" or (found == "unknown" and was_present(session, "member"))


def _forfeits(session: Session, now: datetime, until: datetime) -> bool:
    """Whatever is free at short notice is so for a member who has not come: no session is had for nothing."""
    if session.status == "requested" or not cancellable(session, now):
        return False
    if now < session.booked.starts_at:
        return now > until
    if _waits_for_provider(session):
        return False
    return was_present(session, "member") or not (favoured(session) or now <= until)


def cancellable(session: Session, now: datetime) -> bool:
    """Whether there is anything left to cancel. After the end there is not, though the outcome may still be found or asked for
    (JOIN-3)."""
    return not session.over and now < session.booked.ends_at


def cancel_refused(session: Session, by: Party, accept_forfeit: bool, now: datetime) -> Refusal | None:
    """Why the party cannot cancel the session, as it is by now: CANC-1 for the member, who with less notice must accept the
    forfeit; CANC-2 for the provider, at any time."""
    if not cancellable(session, now):
        return OVER_ALREADY
    if by == "member" and not accept_forfeit and forfeits_now(session, now):
        return Refusal("forfeit-not-accepted", free_until=free_until(session, now))
    return None


def cancel(
    session: Session, by: Party, accept_forfeit: bool, now: datetime, *, sealed_remark: str | None = None
) -> Transition | Refusal:
    """CANC-2: a party cancels (CANC-1). `sealed_remark` is for the message to the other one."""
    session, before = as_of(session, now)
    refusal = cancel_refused(session, by, accept_forfeit, now)
    if refusal is not None:
        return refusal
    forfeits = by == "member" and forfeits_now(session, now)
    by_provider = by == "member" and not forfeits and _caused_by_provider(session, now)
    given_up = by == "member" and not by_provider
    cancelled = _cancelled(
        session,
        by,
        now,
        given_up=given_up,
        forfeits=forfeits,
        caused_by_provider=by_provider,
        sealed_remark=sealed_remark,
    )
    return after(before, cancelled)


def _caused_by_provider(session: Session, now: datetime) -> bool:
    """Whether a member who cancels without loss does so for what the provider did, or did not do (MISS-2)."""
    return favoured(session) or (now >= session.booked.starts_at and _waits_for_provider(session))


def call_off(session: Session, by: Actor, cause: CancelCause, now: datetime, *, forfeits: bool = False) -> Transition:
    """Cancels because of something else: the provider's time off, a change of provider (ROOM-3). Without loss, unless the
    member accepted it."""
    session, before = as_of(session, now)
    if not cancellable(session, now):
        return Transition(session, before)
    return after(before, _cancelled(session, by, now, given_up=by == "member", forfeits=forfeits, cause=cause))


def _cancelled(session: Session, by: Actor, now: datetime, *, given_up: bool, forfeits: bool, **why: Any) -> Transition:
    """Cancelling a booking that is not decided yet gives nothing up (MISS-4)."""
    return happened(
        session,
        SessionCancelled,
        {"status": "cancelled", "given_up": given_up and session.status != "requested"},
        cancelled_by=by,
        cancelled_at=now,
        forfeits=forfeits,
        was_confirmed=session.status in AGREED,
        **why,
    )
