"""Asking for another time: a move by a party (RESC-1 to RESC-3, RESC-5), a longer session by the provider (EXT-1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from makegood_contracts.events import Event, InvoiceWish, Party, SessionZoneChanged, Specialty

from makegood_booking.domain import moves
from makegood_booking.domain.attendance import OVER_ALREADY, UNDECIDED, after, as_of
from makegood_booking.domain.booking import NO_ZONE, Unfit, Wish, unfit
from makegood_booking.domain.cancelling import forfeits_by_moving, moves_free_until
from makegood_booking.domain.pending import Move
from makegood_booking.domain.session import AGREED, Appointment, Changed, Refusal, Session, happened
from makegood_booking.domain.time import is_zone, zone

_BEGUN = Refusal("session-over", "The session has begun, so it cannot be moved any more.")
_PENDING = Refusal("move-pending")


@dataclass(frozen=True, slots=True)
class MoveWish:
    """Where the session is to go. None: as it is."""

    starts_at: datetime
    length_minutes: int | None = None
    time_zone: str | None = None
    venue_id: str | None = None
    accept_forfeit: bool = False
    notify_member: bool = True


def reschedule(
    session: Session, wish: MoveWish, by: Party, move_id: str, specialty: Specialty, now: datetime
) -> Changed | Refusal | Unfit:
    """RESC-1: asks for another time, length or venue, up to the start. With less notice than the policy asks the member
    must accept that the credit is lost and another one is needed, as with cancelling (CANC-1, RESC-3). RESC-2: at short notice
    a provider moves nothing without the member being told."""
    session, before = as_of(session, now)
    if session.over:
        return OVER_ALREADY
    if session.status == "requested":
        return UNDECIDED
    booked = session.booked
    if _changes_zone_alone(wish, booked):
        return _to_another_zone(session, before, wish, by)
    if now >= booked.starts_at:
        return _BEGUN
    new = Wish(
        room_id=booked.room_id,
        starts_at=wish.starts_at,
        length_minutes=wish.length_minutes or booked.length_minutes,
        modality=booked.modality,
        time_zone=wish.time_zone or booked.time_zone,
        venue_id=wish.venue_id or booked.venue_id,
    )
    fault = unfit(new, session.policy, now)
    if fault is not None:
        return fault
    if session.move_pending:
        return _PENDING
    old = (booked.starts_at, booked.length_minutes, booked.time_zone, booked.venue_id)
    if old == (new.starts_at, new.length_minutes, new.time_zone, new.venue_id):
        return Changed(session, before)
    if by == "provider" and not wish.notify_member and now >= session.policy.free_until(min(old[0], new.starts_at)):
        return Refusal("member-must-be-told")
    forfeits = by == "member" and forfeits_by_moving(session, now)
    if forfeits and not wish.accept_forfeit:
        return Refusal("forfeit-not-accepted", free_until=moves_free_until(session))
    move = Move(
        id=move_id,
        kind="move",
        state="asked",
        by=by,
        starts_at=new.starts_at,
        ends_at=new.starts_at + timedelta(minutes=new.length_minutes),
        length_minutes=new.length_minutes,
        time_zone=new.time_zone,
        venue_id=new.venue_id,
        # Nothing is carried out once one of the two starts has come.
        decide_by=min(session.policy.decide_by(now), booked.starts_at, new.starts_at),
        forfeits=forfeits,
        notify_member=wish.notify_member,
        specialty=specialty,
    )
    return after(before, moves.asked(session, move))


def _changes_zone_alone(wish: MoveWish, booked: Appointment) -> bool:
    """RESC-5: whether nothing would change but the zone that the session is shown in."""
    stays = (
        wish.starts_at == booked.starts_at
        and wish.length_minutes in (None, booked.length_minutes)
        and wish.venue_id in (None, booked.venue_id)
    )
    return stays and wish.time_zone not in (None, booked.time_zone)


def _to_another_zone(
    session: Session, before: tuple[Event, ...], wish: MoveWish, by: Party
) -> Changed | Refusal | Unfit:
    """RESC-5: it needs no notice and no new confirmation, and costs nothing. Nobody else is asked."""
    zone_name = wish.time_zone or session.booked.time_zone
    if not is_zone(zone_name):
        return NO_ZONE
    if session.move_pending:
        return _PENDING
    changed = happened(
        session,
        SessionZoneChanged,
        {"booked": replace(session.booked, time_zone=zone_name)},
        changed_by=by,
        old_time_zone=session.booked.time_zone,
        confirmed=session.status in AGREED,
        notify_member=wish.notify_member,
    )
    return after(before, changed)


def extend(
    session: Session, ends_at: datetime, invoice: InvoiceWish | None, move_id: str, now: datetime
) -> Changed | Refusal | Unfit:
    """EXT-1: the provider asks for a later end of a confirmed session, before the end that stands."""
    session, before = as_of(session, now)
    if session.over:
        return OVER_ALREADY
    if session.status not in AGREED:
        return Refusal("not-confirmed")
    booked = session.booked
    if now >= booked.ends_at:
        return OVER_ALREADY
    length = ends_at - booked.starts_at
    if ends_at <= booked.ends_at:
        return Unfit("ends_at", "Later than the end that stands.")
    if length % timedelta(minutes=1):
        return Unfit("ends_at", "Whole minutes after the start.")
    if length > timedelta(minutes=session.policy.longest_minutes):
        return Unfit("ends_at", f"At most {session.policy.longest_minutes} minutes after the start.")
    if invoice is not None and invoice.due_on < now.astimezone(zone(booked.time_zone)).date():
        return Unfit("invoice/due_on", "Not before today.")
    if invoice is not None and session.invoiced_minor + invoice.amount_minor > session.policy.invoice_limit_minor:
        limit = session.policy.invoice_limit_minor
        return Unfit("invoice/amount_minor", f"The session's extensions cost at most {limit} together.")
    if session.move_pending:
        return _PENDING
    move = Move(
        id=move_id,
        kind="extension",
        state="funded",
        by="provider",
        starts_at=booked.starts_at,
        ends_at=ends_at,
        length_minutes=length // timedelta(minutes=1),
        time_zone=booked.time_zone,
        venue_id=booked.venue_id,
        decide_by=min(session.policy.decide_by(now), booked.ends_at),
        invoice=invoice,
    )
    return after(before, moves.asked(session, move))
