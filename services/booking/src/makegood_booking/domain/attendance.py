"""Confirming, cancelling, joining, leaving, no-shows, and what happens by itself when a moment comes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from makegood_contracts.events import (
    Actor,
    CancelCause,
    MemberNoShow,
    Party,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionJoined,
    SessionLeft,
    SessionStarted,
)

from makegood_booking.domain.booking import not_decided_in_time
from makegood_booking.domain.session import AGREED, Changed, Refusal, Session, happened, joined_at, left_at

_OVER = Refusal("session-over")
_UNDECIDED = Refusal("not-confirmed", "The booking is still being decided.")


def confirm(session: Session, now: datetime) -> Changed | Refusal:
    """CONF-1: the provider confirms. Confirming again changes nothing."""
    session, before = _as_of(session, now)
    if session.over:
        return _OVER
    if session.status == "requested":
        return _UNDECIDED
    if session.status != "reserved":
        return Changed(session, before)
    return _after(before, happened(session, SessionConfirmed, {"status": "confirmed"}, confirmed_by="provider"))


def decline(session: Session, now: datetime) -> Changed | Refusal:
    """CONF-1: the provider declines, before confirming; afterwards the provider cancels instead (CANC-2)."""
    session, before = _as_of(session, now)
    if session.status == "declined":
        return Changed(session, before)
    if session.over:
        return _OVER
    if session.status == "requested":
        return _UNDECIDED
    if session.status != "reserved":
        return Refusal(
            "session-over", "The session was confirmed, so it cannot be declined any more; cancel it instead."
        )
    return _after(before, happened(session, SessionDeclined, {"status": "declined"}))


def forfeits_now(session: Session, now: datetime) -> bool:
    """CANC-1: whether the member who cancels now loses the credit. A booking that is not decided yet costs nothing."""
    if session.over or session.status == "requested":
        return False
    return now > session.policy.free_until(session.booked.starts_at)


def cancel(session: Session, by: Party, accept_forfeit: bool, now: datetime) -> Changed | Refusal:
    """CANC-1 for the member, who with less notice must accept the forfeit; CANC-2 for the provider, at any time."""
    session, before = _as_of(session, now)
    if session.over:
        return _OVER
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
    return _after(before, cancelled)


def call_off(session: Session, by: Actor, cause: CancelCause, now: datetime) -> Changed:
    """Cancels without loss because of something else: the provider's time off, a change of provider (ROOM-3)."""
    session, before = _as_of(session, now)
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
    return _after(before, cancelled)


def join(session: Session, party: Party, now: datetime) -> Changed | Refusal:
    """JOIN-1: from 10 minutes before the start until the end, for the two parties of a confirmed session only."""
    session, before = _as_of(session, now)
    if session.over:
        return _OVER
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    opens_at = session.policy.join_opens(session.booked.starts_at)
    if now < opens_at:
        return Refusal("too-early-to-join", opens_at=opens_at)
    if now >= session.booked.ends_at:
        return _OVER
    came, left = joined_at(session, party), left_at(session, party)
    if came is not None and left is None:
        return Changed(session, before)
    changes: dict[str, Any] = {f"{party}_joined_at": came or now, f"{party}_left_at": None}
    joined = happened(session, SessionJoined, changes, party=party, joined_at=now)
    return _after(before + joined.events, time_passed(joined.session, now))


def leave(session: Session, party: Party, now: datetime) -> Changed | Refusal:
    """JOIN-1: leaving is recorded too, also just after the end. Who never came does not leave."""
    session, before = _as_of(session, now)
    if joined_at(session, party) is None:
        if session.over:
            return _OVER
        return Changed(session, before) if session.status in AGREED else Refusal("not-confirmed")
    if left_at(session, party) is not None:
        return Changed(session, before)
    return _after(before, happened(session, SessionLeft, {f"{party}_left_at": now}, party=party, left_at=now))


def mark_no_show(session: Session, now: datetime) -> Changed | Refusal:
    """NOSH-1: by the provider after the start, only if the member never joined."""
    session, before = _as_of(session, now)
    if session.status == "member_no_show":
        return Changed(session, before)
    if session.over:
        return _OVER
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    if now < session.booked.starts_at:
        return Refusal("no-show-not-possible", "A no-show can be marked after the start.")
    if session.member_joined_at is not None:
        return Refusal("no-show-not-possible", "The member was there.")
    changes: dict[str, Any] = {"status": "member_no_show", "absent_party": "member"}
    return _after(before, happened(session, MemberNoShow, changes, marked_by="provider"))


def next_due(session: Session) -> datetime | None:
    """The next moment at which something happens by itself; None once the session is over."""
    booked, policy = session.booked, session.policy
    match session.status:
        case "requested":
            return booked.decide_by
        case "reserved":
            return session.confirm_by
        case "confirmed" if session.both_came:
            return booked.starts_at
        case "confirmed" if session.provider_joined_at is None:
            return policy.provider_missed_at(booked.starts_at)
        case "confirmed":
            return policy.no_show_at(booked.starts_at)
        case "in_session":
            return booked.ends_at
        case _:
            return None


def time_passed(session: Session, now: datetime) -> Changed:
    """All that happens by itself up to `now`, one thing after the other, however late it is looked at."""
    events: tuple[Any, ...] = ()
    while (due := next_due(session)) is not None and due <= now:
        step = _when_due(session, due)
        session, events = step.session, events + step.events
    return Changed(session, events)


def _when_due(session: Session, moment: datetime) -> Changed:
    """What the moment that `next_due` names brings."""
    match session.status:
        case "requested":
            return not_decided_in_time(session)
        case "reserved":  # CONF-2: nobody confirmed in time
            return happened(session, SessionExpired, {"status": "expired"})
        case "in_session":  # JOIN-2: both attended, and the end has come
            return happened(session, SessionCompleted, {"status": "completed"})
        case _ if session.both_came:
            return happened(session, SessionStarted, {"status": "in_session"})
        case _ if session.provider_joined_at is None:
            return _provider_missed(session, moment)
        case _:  # NOSH-1: the provider is there, the member is not
            changes: dict[str, Any] = {"status": "member_no_show", "absent_party": "member"}
            return happened(session, MemberNoShow, changes, marked_by="system")


def _provider_missed(session: Session, moment: datetime) -> Changed:
    """MISS-1: confirmed, the grace is over, and the provider has not joined. That neither came is the provider's miss."""
    absent = "provider" if session.member_joined_at is not None else "both"
    return happened(
        session,
        ProviderMissed,
        {"status": "provider_missed", "absent_party": absent},
        absent_party=absent,
        missed_at=moment,
        grace_minutes=session.policy.grace_minutes,
    )


def _as_of(session: Session, now: datetime) -> tuple[Session, tuple[Any, ...]]:
    """The session as it is by now: a command never overtakes what should have happened before it."""
    passed = time_passed(session, now)
    return passed.session, passed.events


def _after(before: tuple[Any, ...], changed: Changed) -> Changed:
    return Changed(changed.session, before + changed.events)
