"""Confirming, joining, leaving, no-shows, and what happens automatically at a deadline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal

from makegood_contracts.events import (
    Actor,
    MemberNoShow,
    OutcomeAsked,
    Party,
    ProviderMissed,
    ReconfirmationAsked,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionJoined,
    SessionLeft,
    SessionReconfirmed,
    SessionStarted,
)
from makegood_contracts.values import replace

from makegood_booking.domain.booking import confirmed_by_provider, not_decided_in_time
from makegood_booking.domain.moves import not_paid_for_in_time
from makegood_booking.domain.policy import many
from makegood_booking.domain.presence import AttendanceVerdict, verdict
from makegood_booking.domain.session import (
    AGREED,
    DONE,
    Refusal,
    Session,
    Transition,
    happened,
    in_room,
    was_present,
)

JoinedHow = Literal["joined", "code", "provider"]
Absent = Literal["provider", "both"]
SOON: Final = timedelta(hours=1)
"""A miss that is found later than that counts as late: the member's thirty days then run from that moment, like those
of the credit (MISS-4).
"""
OVER_ALREADY = Refusal("session-over")
UNDECIDED = Refusal("not-confirmed", "The booking is still being decided.")
_CONFIRMED_ALREADY = Refusal(
    "session-over", "The session is already confirmed, so it can't be declined. Cancel it instead."
)


def confirm_refused(session: Session, now: datetime) -> Refusal | Literal["done"] | None:
    """Why the session, as it is now, cannot be confirmed. A provider who was asked again (CONF-3) confirms that the
    time still holds, as long as it is in the future. Any other second confirmation changes nothing.
    """
    if session.over:
        return OVER_ALREADY
    if session.status == "requested":
        return UNDECIDED
    if session.status == "reserved":
        return None
    return None if session.reconfirmation == "asked" and now < session.booked.starts_at else DONE


def confirm(session: Session, now: datetime) -> Transition | Refusal:
    """CONF-1: the provider confirms."""
    session, before = as_of(session, now)
    refusal = confirm_refused(session, now)
    if refusal is not None:
        return Transition(session, before) if refusal == DONE else refusal
    if session.status == "reserved":
        return after(before, confirmed_by_provider(session, now))
    return after(before, happened(session, SessionReconfirmed, {"reconfirmation": "given"}))


def decline_refused(session: Session) -> Refusal | Literal["done"] | None:
    """Why the session, as it is now, cannot be declined. Once it is confirmed, it is cancelled instead (CANC-2)."""
    if session.status == "declined":
        return DONE
    if session.over:
        return OVER_ALREADY
    if session.status == "requested":
        return UNDECIDED
    return None if session.status == "reserved" else _CONFIRMED_ALREADY


def decline(session: Session, now: datetime) -> Transition | Refusal:
    """The provider declines, before confirming (CONF-1)."""
    session, before = as_of(session, now)
    refusal = decline_refused(session)
    if refusal is not None:
        return Transition(session, before) if refusal == DONE else refusal
    return after(before, happened(session, SessionDeclined, {"status": "declined"}))


def entry_refused(session: Session, now: datetime) -> Refusal | None:
    """Why nobody can join the session now, or None (JOIN-1)."""
    if session.over:
        return OVER_ALREADY
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    opens_at = session.policy.join_opens(session.booked.starts_at)
    if now < opens_at:
        return Refusal("too-early-to-join", opens_at=opens_at)
    return OVER_ALREADY if now >= session.booked.ends_at else None


def join(session: Session, party: Party, now: datetime, how: JoinedHow = "joined") -> Transition | Refusal:
    """JOIN-1: from `join_minutes` before the start until the end, for the two parties of a confirmed session only."""
    session, before = as_of(session, now)
    refusal = entry_refused(session, now)
    if refusal is not None:
        return refusal
    if in_room(session, party):
        return Transition(session, before)
    attendance = session.attendance.came(party, now, session.booked.starts_at)
    joined = happened(session, SessionJoined, {"attendance": attendance}, party=party, joined_at=now, how=how)
    return after(before + joined.events, time_passed(joined.session, now))


def leave_refused(session: Session, party: Party) -> Refusal | Literal["done"] | None:
    """Why the party cannot leave the session, as it is now. Somebody who never came cannot leave."""
    if session.attendance.joined_at(party) is None:
        if session.over:
            return OVER_ALREADY
        return DONE if session.status in AGREED else Refusal("not-confirmed")
    return None if in_room(session, party) else DONE


def leave(session: Session, party: Party, now: datetime) -> Transition | Refusal:
    """A party leaves. This is also recorded just after the end (JOIN-1)."""
    session, before = as_of(session, now)
    refusal = leave_refused(session, party)
    if refusal is not None:
        return Transition(session, before) if refusal == DONE else refusal
    attendance = session.attendance.went(party, now, session.booked.ends_at)
    return after(before, happened(session, SessionLeft, {"attendance": attendance}, party=party, left_at=now))


def no_show_refused(session: Session, now: datetime) -> Refusal | Literal["done"] | None:
    """Why the provider cannot mark a no-show in the session, as it is now (NOSH-1). The provider must be in the room,
    the grace must be over, and the member must not have been present.
    """
    if session.status == "member_no_show":
        return DONE
    if session.over:
        return OVER_ALREADY
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    policy = session.policy
    if now < policy.provider_missed_at(session.booked.starts_at):
        minutes = many(policy.grace_minutes, "minute")
        return Refusal("no-show-not-possible", f"A no-show can be marked from {minutes} after the start.")
    if not in_room(session, "provider"):
        return Refusal(
            "no-show-not-possible", "Join the session first. Only a provider who is in the room can mark a no-show."
        )
    if was_present(session, "member"):
        return Refusal("no-show-not-possible", "The member has been present.")
    return None


def mark_no_show(session: Session, now: datetime) -> Transition | Refusal:
    """NOSH-1: the provider marks that the member did not come."""
    session, before = as_of(session, now)
    refusal = no_show_refused(session, now)
    if refusal is not None:
        return Transition(session, before) if refusal == DONE else refusal
    return after(before, no_show(session, "provider"))


def next_due(session: Session) -> datetime | None:
    """The next moment at which something happens automatically. None once the session is over."""
    due = _due_of_status(session)
    move = session.move
    if due is None or move is None or move.state != "asked":
        return due
    return min(due, move.decide_by)


def _due_of_status(session: Session) -> datetime | None:
    booked, policy = session.booked, session.policy
    match session.status:
        case "requested":
            return booked.decide_by
        case "reserved":
            return session.confirm_by
        case "confirmed" if session.reconfirmation == "due":
            return policy.reconfirm_at(booked.starts_at)
        case "confirmed" if session.attendance.met:
            return booked.starts_at
        case "confirmed" if session.outcome_asked:
            return policy.answer_by(booked.ends_at)
        case "confirmed" | "in_session":
            return verdict_of(session).at
        case _:
            return None


def verdict_of(session: Session) -> AttendanceVerdict:
    """How a confirmed session ends, and when, if nobody comes or goes until then (JOIN-2)."""
    booked, in_person = session.booked, session.booked.modality == "in_person"
    return verdict(session.attendance, booked.policy, booked.starts_at, booked.ends_at, in_person=in_person)


def time_passed(session: Session, now: datetime) -> Transition:
    """Applies everything that happens automatically up to `now`, in order, even if it is late."""
    if session.reconfirmation == "due" and now >= session.booked.starts_at:
        session = replace(session, reconfirmation=None)  # too late to ask anybody
    events: tuple[Any, ...] = ()
    while (due := next_due(session)) is not None and due <= now:
        step = _when_due(session, due, now)
        session, events = step.session, events + step.events
    return Transition(session, events)


def _when_due(session: Session, moment: datetime, now: datetime) -> Transition:
    """What happens at the moment that `next_due` names, if it is handled at `now`."""
    if session.move is not None and session.move.state == "asked" and session.move.decide_by == moment:
        return not_paid_for_in_time(session)
    match session.status:
        case "requested":
            return not_decided_in_time(session)
        case "reserved":  # nobody confirmed in time (CONF-2)
            return happened(session, SessionExpired, {"status": "expired"})
        case "confirmed" if session.reconfirmation == "due":  # CONF-3
            return happened(session, ReconfirmationAsked, {"reconfirmation": "asked"})
        case "confirmed" if session.attendance.met:
            return happened(session, SessionStarted, {"status": "in_session"})
        case "confirmed" if session.outcome_asked:  # no answer (JOIN-3)
            absent: Absent = "provider" if was_present(session, "member") else "both"
            return provider_missed(session, absent, moment, found_at=now)
        case _:  # JOIN-2, MISS-1, NOSH-1
            return _ended(session, verdict_of(session), now)


def _ended(session: Session, found: AttendanceVerdict, now: datetime) -> Transition:
    match found.outcome:
        case "completed":
            return completed(session)
        case "member_no_show":
            return no_show(session, "system")
        case "provider_missed":
            absent: Absent = "provider" if found.absent == "provider" else "both"
            return provider_missed(session, absent, found.at, found_at=now)
        case "unknown":  # JOIN-3
            answer_by = session.policy.answer_by(session.booked.ends_at)
            return happened(session, OutcomeAsked, {"outcome_asked": True}, answer_by=answer_by)


def completed(session: Session, told_by: Actor = "system") -> Transition:
    """The session took place (JOIN-2)."""
    return happened(session, SessionCompleted, {"status": "completed"}, told_by=told_by)


def no_show(session: Session, marked_by: Actor) -> Transition:
    """The member did not come (NOSH-1). It costs nothing if the provider had moved the session at short notice (RESC-3)."""
    changes: dict[str, Any] = {"status": "member_no_show", "absent_party": "member"}
    return happened(session, MemberNoShow, changes, marked_by=marked_by, forfeits=not session.moved_at_short_notice)


def provider_missed(
    session: Session, absent: Absent, missed_at: datetime, told_by: Actor = "system", *, found_at: datetime
) -> Transition:
    """MISS-1: the provider missed the session. Everything else follows from this event (MISS-2)."""
    counts_from = missed_at if found_at - missed_at <= SOON else found_at
    return happened(
        session,
        ProviderMissed,
        {"status": "provider_missed", "absent_party": absent, "missed_at": counts_from},
        absent_party=absent,
        missed_at=missed_at,
        grace_minutes=session.policy.grace_minutes,
        told_by=told_by,
    )


def as_of(session: Session, now: datetime) -> tuple[Session, tuple[Any, ...]]:
    """The session as it is now: a command never overtakes what should have happened before it."""
    passed = time_passed(session, now)
    return passed.session, passed.events


def after(before: tuple[Any, ...], changed: Transition) -> Transition:
    return Transition(changed.session, before + changed.events)
