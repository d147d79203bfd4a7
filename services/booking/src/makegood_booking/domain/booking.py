"""Takes a booking from its request to a reservation or a refusal (BOOK-1). Nothing else decides this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from makegood_contracts.events import (
    Actor,
    CreditCorrected,
    CreditForfeited,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceVoided,
    Modality,
    PlanKind,
    Price,
    SessionCancelled,
    SessionConfirmed,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    SlotHeld,
    SlotRefused,
    SlotReleased,
    Specialty,
)
from makegood_contracts.reasons import Reason
from makegood_contracts.values import replace
from makegood_plans.plans import Money

from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import AGREED, Appointment, CreditState, Session, Transition, fact, happened
from makegood_booking.domain.time import is_zone

NOT_IN_TIME = Reason(
    code="temporary-interruption", detail="The booking could not be completed in time. Nothing was charged or reserved."
)

_SETTLED: Final[Mapping[type[Event], CreditState]] = {
    CreditSpent: "spent",
    CreditReturned: "returned",
    CreditForfeited: "forfeited",
}


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """A request to book: room, start, length, modality (with a venue) and time zone (BOOK-1)."""

    room_id: str
    starts_at: datetime
    length_minutes: int
    modality: Modality
    time_zone: str
    venue_id: str | None


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A value of the request with which nothing can be booked."""

    field: str
    detail: str


NO_ZONE = InvalidField("time_zone", "Must be an IANA time zone, such as `Europe/Berlin`.")


def invalid_field(request: BookingRequest, policy: Policy, now: datetime) -> InvalidField | None:
    """The field that makes the request invalid, regardless of room, plan and schedule, or None."""
    if fault := invalid_start(request.starts_at, policy, now):
        return fault
    if not policy.shortest_minutes <= request.length_minutes <= policy.longest_minutes:
        return InvalidField(
            "length_minutes", f"Must be from {policy.shortest_minutes} to {policy.longest_minutes} minutes."
        )
    if not is_zone(request.time_zone):
        return NO_ZONE
    if request.modality == "in_person" and request.venue_id is None:
        return InvalidField("venue_id", "An in-person session needs a venue.")
    if request.modality != "in_person" and request.venue_id is not None:
        return InvalidField("venue_id", "Only an in-person session can have a venue.")
    return None


def invalid_start(starts_at: datetime, policy: Policy, now: datetime) -> InvalidField | None:
    """The field that makes this time invalid, or None."""
    if starts_at <= now:
        return InvalidField("starts_at", "The start must be in the future.")
    if starts_at > now + timedelta(days=policy.horizon_days):
        return InvalidField("starts_at", f"The start must be within the next {policy.horizon_days} days.")
    return None


def support_may_book(request: BookingRequest, plan: PlanKind | None) -> bool:
    """BOOK-6: support books only video, and only for a member whose plan on that day is health insurance."""
    return request.modality == "video" and plan == "health_insurance"


def request_session(
    session_id: str,
    request: BookingRequest,
    room: Room,
    booked_by: Actor,
    policy: Policy,
    now: datetime,
    specialty: Specialty = "therapy",
    *,
    reopens_room: bool = False,
) -> Transition:
    """Asks availability for the slot and credits for the credit, whoever books (BOOK-5, BOOK-1).

    The room must be bookable (`room_reasons`), or the booking must open it again once it is reserved (MISS-4).
    """
    booked = Appointment(
        session_id=session_id,
        room_id=room.id,
        member_id=room.member_id,
        provider_id=room.provider_id,
        starts_at=request.starts_at,
        ends_at=request.starts_at + timedelta(minutes=request.length_minutes),
        length_minutes=request.length_minutes,
        modality=request.modality,
        time_zone=request.time_zone,
        venue_id=request.venue_id,
        booked_by=booked_by,
        requested_at=now,
        policy=policy,
    )
    session = Session(booked, "requested", 1, reopens_room=reopens_room)
    event = fact(
        session,
        SessionRequested,
        booked_by=booked_by,
        hold_until=booked.hold_until,
        policy_version=policy.version,
        co_pay_due_days=policy.co_pay_due_days,
        specialty=specialty,
    )
    return Transition(session, (event,))


def slot_held(session: Session, event: SlotHeld, now: datetime) -> Transition:
    """Availability holds the slot, and with it the provider's time around it (BOOK-1)."""
    if session.slot != "asked":
        return Transition(session)
    held = replace(session, slot="held", blocked_from=event.blocked_from, blocked_until=event.blocked_until)
    return _decide(held, now)


def slot_refused(session: Session, event: SlotRefused, now: datetime) -> Transition:
    """Availability refused (BOOK-1)."""
    if session.slot != "asked":
        return Transition(session)
    return _decide(replace(session, slot="refused", slot_reasons=tuple(event.reasons)), now)


def credit_held(session: Session, event: CreditHeld, now: datetime) -> Transition:
    """Credits holds a credit of the lot, or a co-pay (BOOK-1)."""
    if session.funding != "asked":
        return Transition(session)
    # The ledger's topic has another key, so the settlement of the credit can arrive before its hold. Then the
    # settlement counts.
    credit: CreditState = "held" if event.funding == "credit" and session.credit == "none" else session.credit
    held = replace(session, funding=event.funding, credit=credit, lot_id=event.lot_id, co_pay=amount_of(event.co_pay))
    return _decide(held, now)


def amount_of(price: Price | None) -> Money | None:
    """The amount as it is in an event."""
    return None if price is None else Money(price.amount_minor, price.currency)


def credit_refused(session: Session, event: CreditRefused, now: datetime) -> Transition:
    """Credits refused: why, and whether a credit can be purchased on this plan (BOOK-4)."""
    if session.funding != "asked":
        return Transition(session)
    refused = replace(session, funding="refused", credit_reasons=tuple(event.reasons), purchasable=event.purchasable)
    return _decide(refused, now)


def slot_lapsed(session: Session, event: SlotReleased, now: datetime) -> Transition:
    """Availability released a slot that it held for too long, so the session cannot take place (AVAIL-4)."""
    if session.slot == "released":
        return Transition(session)
    lost = replace(session, slot="released")
    return _decide(lost, now) if lost.status == "requested" else _lost(lost, now)


def credit_settled(
    session: Session, event: CreditSpent | CreditReturned | CreditForfeited, now: datetime
) -> Transition:
    """A hold was settled (CRED-3): spent, returned or forfeited, once. Only support can return what was taken (MISS-5).

    A move can add a second hold. What becomes of that one does not concern the session's own credit.
    """
    state, cause = _SETTLED[type(event)], None if isinstance(event, CreditSpent) else event.cause
    if cause == "moved":
        return Transition(session)
    open_ = session.credit in ("none", "held")
    by_hand = session.credit in ("spent", "forfeited") and state == "returned" and cause in ("support", "corrected")
    if not open_ and not by_hand:
        return Transition(session)
    moved = replace(session, credit=state)
    if cause != "lapsed":
        return Transition(moved)
    return _decide(moved, now) if moved.status == "requested" else _lost(moved, now)


def credit_corrected(session: Session, event: CreditCorrected, now: datetime) -> Transition:
    """The credit follows the outcome that support corrected (MISS-5)."""
    return Transition(session if session.credit == event.state else replace(session, credit=event.state))


def co_pay_lapsed(session: Session, event: InvoiceVoided, now: datetime) -> Transition:
    """Credits released a co-pay that was pending for too long (AVAIL-4). As with a lapsed credit, the session cannot
    take place.

    An undecided booking is refused at once, because no state of a co-pay could record this until the other answer
    comes.
    """
    return not_decided_in_time(session) if session.status == "requested" else _lost(session, now)


def not_decided_in_time(session: Session) -> Transition:
    """Refuses a booking that is still undecided when its time is up, before any of its holds can lapse.

    If one of the two services has refused it by then, its reasons are included (BOOK-8).
    """
    return _reject(session, (*session.reasons, NOT_IN_TIME))


def confirmed_by_provider(session: Session, now: datetime) -> Transition:
    """The session will take place. A provider who confirms early enough is asked again shortly before the session
    (CONF-3).
    """
    starts_at, policy = session.booked.starts_at, session.policy
    early = now < policy.reconfirm_at(starts_at)
    return happened(
        session,
        SessionConfirmed,
        {"status": "confirmed", "reconfirmation": "due" if early else None},
        confirmed_by="provider",
        remind_at=policy.remind_at(starts_at, now),
    )


def _decide(session: Session, now: datetime) -> Transition:
    """BOOK-1: one slot and one credit, or neither and a refusal with every reason. Waits for both answers.

    Answers that come after `decide_by` reserve nothing, even if the booking has not been given up yet.
    By the time of such a late reservation, the holds might have lapsed.
    """
    if session.status != "requested" or session.slot == "asked" or session.funding == "asked":
        return Transition(session)
    if session.slot == "refused" or session.funding == "refused":
        return _reject(session, session.reasons)
    credit_lost = session.funding == "credit" and session.credit != "held"
    if session.slot == "released" or credit_lost or now >= session.booked.decide_by:
        return not_decided_in_time(session)
    confirm_by = session.policy.confirm_by(session.booked.starts_at, session.booked.requested_at)
    changes = {"status": "reserved", "confirm_by": confirm_by}
    reserved = happened(session, SessionReserved, changes, confirm_by=confirm_by)
    if session.booked.booked_by != "provider":
        return reserved
    # BOOK-5: the provider does not have to confirm their own booking.
    confirmed = confirmed_by_provider(reserved.session, now)
    return Transition(confirmed.session, reserved.events + confirmed.events)


def _reject(session: Session, reasons: tuple[Reason, ...]) -> Transition:
    changes: dict[str, object] = {"status": "rejected"}
    if reasons != session.reasons:
        changes |= {"slot_reasons": reasons, "credit_reasons": ()}
    return happened(session, SessionRejected, changes, reasons=list(reasons))


def _lost(session: Session, now: datetime) -> Transition:
    """The platform cancels a live session that lost its slot or credit, free of charge (AVAIL-4)."""
    if session.over:
        return Transition(session)
    return happened(
        session,
        SessionCancelled,
        {"status": "cancelled"},
        cancelled_by="system",
        cancelled_at=now,
        forfeits=False,
        was_confirmed=session.status in AGREED,
        cause="lost_hold",
    )
