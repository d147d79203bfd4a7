"""Cancelling: by a party (CANC-1, CANC-2), or because of something else."""

from __future__ import annotations

from datetime import datetime
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
    """CANC-1: whether a member who cancels now loses the credit. Cancelling an undecided booking costs nothing."""
    return _forfeits(session, now, _cancels_free_until(session))


def forfeits_by_moving(session: Session, now: datetime) -> bool:
    """Whether a member who moves now loses the credit (RESC-1), as with cancelling. There is no cooling-off time for
    moves."""
    return _forfeits(session, now, moves_free_until(session))


def free_until(session: Session, now: datetime) -> datetime:
    """Until when the member can cancel without loss, as things are now (CANC-1). From the start on, it ends at the next
    automatic step, or earlier if somebody comes.
    """
    starts_at, until = session.booked.starts_at, _cancels_free_until(session)
    if now < starts_at or not cancellable(session, now) or forfeits_now(session, now):
        return min(until, starts_at)
    ends = next_due(session) or session.booked.ends_at
    return ends if favoured(session) or _waits_for_provider(session) else min(until, ends)


def moves_free_until(session: Session) -> datetime:
    """Until when the member can move the session without loss (RESC-1, RESC-3). It cannot be moved once it has begun."""
    booked = session.booked
    return booked.starts_at if favoured(session) else booked.policy.free_until(booked.starts_at)


def _cancels_free_until(session: Session) -> datetime:
    """As `moves_free_until`, or the end of the cooling-off time if that is later. It runs from the booking alone
    (CANC-1)."""
    booked = session.booked
    return max(moves_free_until(session), booked.policy.cooled_off_at(booked.requested_at))


def favoured(session: Session) -> bool:
    """RESC-3: whether the provider changed what was agreed (EXT-1)."""
    return session.moved_by_provider or session.invoiced_early


def _waits_for_provider(session: Session) -> bool:
    """Whether a session has begun and its provider is not there, whoever left first (CANC-1).

    Once the two were together for long enough that the session counts as completed (JOIN-2), nobody waits any more. In
    person, a late check-in decides nothing, but a party who checked in waits for a provider who did not (JOIN-3).
    """
    if in_room(session, "provider"):
        return False
    if session.attendance.met:
        return session.policy.too_short(session.attendance.together)
    found = verdict_of(session).outcome
    return found == "provider_missed" or (found == "unknown" and was_present(session, "member"))


def _forfeits(session: Session, now: datetime, until: datetime) -> bool:
    """Whether the credit is lost. After the start, it is lost even if it would have been free, if the member has come
    and does not wait for the provider.
    """
    if session.status == "requested" or not cancellable(session, now):
        return False
    if now < session.booked.starts_at:
        return now > until
    if _waits_for_provider(session):
        return False
    return was_present(session, "member") or not (favoured(session) or now <= until)


def cancellable(session: Session, now: datetime) -> bool:
    """Whether anything is left to cancel. After the end there is not, even if the outcome is still unknown (JOIN-3)."""
    return not session.over and now < session.booked.ends_at


def cancel_refused(session: Session, by: Party, accept_forfeit: bool, now: datetime) -> Refusal | None:
    """Why the party cannot cancel the session, as it is now.

    A member with less notice must accept the forfeit (CANC-1). The provider can cancel at any time (CANC-2).
    """
    if not cancellable(session, now):
        return OVER_ALREADY
    if by == "member" and not accept_forfeit and forfeits_now(session, now):
        return Refusal("forfeit-not-accepted", free_until=free_until(session, now))
    return None


def cancel(
    session: Session, by: Party, accept_forfeit: bool, now: datetime, *, sealed_remark: str | None = None
) -> Transition | Refusal:
    """CANC-2: a party cancels (CANC-1). `sealed_remark` is for the message to the other party."""
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
    """Whether a member cancels without loss because of something that the provider did or did not do (MISS-2)."""
    return favoured(session) or (now >= session.booked.starts_at and _waits_for_provider(session))


def call_off(session: Session, by: Actor, cause: CancelCause, now: datetime, *, forfeits: bool = False) -> Transition:
    """Cancels because of something else: the provider's time off, or a change of provider (ROOM-3).

    The member loses nothing, unless they accepted the loss (`forfeits`).
    """
    session, before = as_of(session, now)
    if not cancellable(session, now):
        return Transition(session, before)
    return after(before, _cancelled(session, by, now, given_up=by == "member", forfeits=forfeits, cause=cause))


def _cancelled(session: Session, by: Actor, now: datetime, *, given_up: bool, forfeits: bool, **why: Any) -> Transition:
    """The cancelled session. Cancelling an undecided booking does not use up a right to rebook (MISS-4)."""
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
