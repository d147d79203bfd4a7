"""Asking for another time: a party's move (RESC-1 to RESC-3, RESC-5), or the provider's extension (EXT-1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from makegood_contracts.events import Event, InvoiceWish, Party, SessionZoneChanged, Specialty
from makegood_contracts.values import Value, replace

from makegood_booking.domain import moves
from makegood_booking.domain.attendance import OVER_ALREADY, UNDECIDED, after, as_of
from makegood_booking.domain.booking import NO_ZONE, BookingRequest, InvalidField, invalid_field
from makegood_booking.domain.cancelling import favoured, forfeits_by_moving, moves_free_until
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.session import AGREED, Appointment, Refusal, Session, Transition, happened
from makegood_booking.domain.time import is_zone, zone

_BEGUN = Refusal("session-over", "The session has started and can no longer be moved.")
_PENDING = Refusal("move-pending")
_MINUTE: Final = timedelta(minutes=1)


class RescheduleCommand(Value, frozen=True):
    """The new time, length and place. None: unchanged."""

    starts_at: datetime
    length_minutes: int | None = None
    time_zone: str | None = None
    venue_id: str | None = None
    accept_forfeit: bool = False
    notify_member: bool = True


def reschedule_refused(session: Session, by: Party, accept_forfeit: bool, now: datetime) -> Refusal | None:
    """Why the party cannot move the session, as it is now, to any other time at all."""
    return (
        _undecided(session) or _begun(session, now) or _pending(session) or _forfeits(session, by, accept_forfeit, now)
    )


def reschedule(
    session: Session, request: RescheduleCommand, by: Party, move_id: str, specialty: Specialty, now: datetime
) -> Transition | Refusal | InvalidField:
    """A party asks for another time, length or venue, before the start (RESC-1).

    With less notice than the policy requires, the member must accept that the credit is lost and another one is needed,
    as with cancelling (CANC-1, RESC-3). At short notice, a provider cannot move anything without the member being told
    (RESC-2).
    """
    session, before = as_of(session, now)
    refusal = _undecided(session)
    if refusal is not None:
        return refusal
    booked = session.booked
    if _changes_zone_alone(request, booked):
        return _to_another_zone(session, before, request, by)
    new = BookingRequest(
        room_id=booked.room_id,
        starts_at=request.starts_at,
        length_minutes=request.length_minutes or booked.length_minutes,
        modality=booked.modality,
        time_zone=request.time_zone or booked.time_zone,
        venue_id=request.venue_id or booked.venue_id,
    )
    fault = _begun(session, now) or invalid_field(new, session.policy, now) or _pending(session)
    if fault is not None:
        return fault
    old = (booked.starts_at, booked.length_minutes, booked.time_zone, booked.venue_id)
    if old == (new.starts_at, new.length_minutes, new.time_zone, new.venue_id):
        return Transition(session, before)
    if by == "provider" and not request.notify_member and now >= session.policy.free_until(min(old[0], new.starts_at)):
        return Refusal("member-must-be-told")
    refusal = _forfeits(session, by, request.accept_forfeit, now)
    if refusal is not None:
        return refusal
    move = Reschedule(
        id=move_id,
        kind="move",
        state="asked",
        by=by,
        starts_at=new.starts_at,
        ends_at=new.starts_at + timedelta(minutes=new.length_minutes),
        length_minutes=new.length_minutes,
        time_zone=new.time_zone,
        venue_id=new.venue_id,
        # A move is not carried out once the old or the new start has come.
        decide_by=min(session.policy.decide_by(now), booked.starts_at, new.starts_at),
        forfeits=by == "member" and forfeits_by_moving(session, now),
        caused_by_provider=by == "member" and favoured(session),
        notify_member=request.notify_member,
        specialty=specialty,
    )
    return after(before, moves.asked(session, move))


def _undecided(session: Session) -> Refusal | None:
    if session.over:
        return OVER_ALREADY
    return UNDECIDED if session.status == "requested" else None


def _begun(session: Session, now: datetime) -> Refusal | None:
    return _BEGUN if now >= session.booked.starts_at else None


def _pending(session: Session) -> Refusal | None:
    return _PENDING if session.move_pending else None


def _forfeits(session: Session, by: Party, accepted: bool, now: datetime) -> Refusal | None:
    """Whether the move loses the credit. A late move does so only if the member accepts it (RESC-1)."""
    if by == "provider" or accepted or not forfeits_by_moving(session, now):
        return None
    return Refusal("forfeit-not-accepted", free_until=moves_free_until(session))


def _changes_zone_alone(request: RescheduleCommand, booked: Appointment) -> bool:
    """Whether only the time zone of the session would change (RESC-5)."""
    stays = (
        request.starts_at == booked.starts_at
        and request.length_minutes in (None, booked.length_minutes)
        and request.venue_id in (None, booked.venue_id)
    )
    return stays and request.time_zone not in (None, booked.time_zone)


def _to_another_zone(
    session: Session, before: tuple[Event, ...], request: RescheduleCommand, by: Party
) -> Transition | Refusal | InvalidField:
    """RESC-5: another time zone needs no notice and no new confirmation, and costs nothing. No other service takes
    part."""
    zone_name = request.time_zone or session.booked.time_zone
    if not is_zone(zone_name):
        return NO_ZONE
    if (refusal := _pending(session)) is not None:
        return refusal
    changed = happened(
        session,
        SessionZoneChanged,
        {"booked": replace(session.booked, time_zone=zone_name)},
        changed_by=by,
        old_time_zone=session.booked.time_zone,
        confirmed=session.status in AGREED,
        notify_member=request.notify_member,
    )
    return after(before, changed)


def extend_refused(session: Session, now: datetime) -> Refusal | InvalidField | None:
    """Why the session, as it is now, cannot be extended at all, not even by a minute."""
    return _not_under_way(session, now) or _too_long(session, session.booked.length_minutes + 1) or _pending(session)


def _not_under_way(session: Session, now: datetime) -> Refusal | None:
    if session.over:
        return OVER_ALREADY
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    return OVER_ALREADY if now >= session.booked.ends_at else None


def _too_long(session: Session, minutes: float) -> InvalidField | None:
    longest = session.policy.longest_minutes
    return InvalidField("ends_at", f"Must be at most {longest} minutes after the start.") if minutes > longest else None


def extend(
    session: Session, ends_at: datetime, invoice: InvoiceWish | None, move_id: str, now: datetime
) -> Transition | Refusal | InvalidField:
    """EXT-1: the provider asks for a later end of a confirmed session, before the present end."""
    session, before = as_of(session, now)
    refusal = _not_under_way(session, now)
    if refusal is not None:
        return refusal
    booked = session.booked
    length = ends_at - booked.starts_at
    if ends_at <= booked.ends_at:
        return InvalidField("ends_at", "Must be later than the current end.")
    if length % _MINUTE:
        return InvalidField("ends_at", "Must be whole minutes after the start.")
    if (fault := _too_long(session, length / _MINUTE)) is not None:
        return fault
    if invoice is not None and invoice.due_on < now.astimezone(zone(booked.time_zone)).date():
        return InvalidField("invoice/due_on", "Must not be before today.")
    if invoice is not None and session.invoiced_minor + invoice.amount_minor > session.policy.invoice_limit_minor:
        limit = session.policy.invoice_limit_minor
        return InvalidField(
            "invoice/amount_minor", f"The invoices for extending a session can add up to {limit} at most."
        )
    if (refusal := _pending(session)) is not None:
        return refusal
    move = Reschedule(
        id=move_id,
        kind="extension",
        state="funded",
        by="provider",
        starts_at=booked.starts_at,
        ends_at=ends_at,
        length_minutes=length // _MINUTE,
        time_zone=booked.time_zone,
        venue_id=booked.venue_id,
        decide_by=min(session.policy.decide_by(now), booked.ends_at),
        invoice=invoice,
    )
    return after(before, moves.asked(session, move))
