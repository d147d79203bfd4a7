"""What availability and credits answer, put to the rules: each answer fits the session that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from makegood_booking.domain import booking, moves
from makegood_booking.domain.session import CreditState, Session, Transition
from makegood_contracts.events import (
    CreditCorrected,
    CreditForfeited,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    InvoiceVoided,
    MoveCreditHeld,
    MoveCreditRefused,
    Price,
    SettleCause,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
)
from makegood_contracts.reasons import Reason
from makegood_plans.plans import Money

ID: Final = "01900000-0000-7000-8000-000000000000"


def _slot(session: Session) -> dict[str, Any]:
    booked = session.booked
    return {
        "session_id": session.id,
        "provider_id": booked.provider_id,
        "member_id": booked.member_id,
        "starts_at": booked.starts_at,
        "ends_at": booked.ends_at,
    }


def _hold(session: Session) -> dict[str, Any]:
    return {"session_id": session.id, "member_id": session.booked.member_id}


def _movement(session: Session) -> dict[str, Any]:
    entry = {"entry_id": ID, "lot_id": ID, "hold_id": ID, "amount": 1, "available_after": 0, "held_after": 0}
    return {**_hold(session), **entry}


def slot_held(session: Session, now: datetime) -> Transition:
    return booking.slot_held(session, SlotHeld(**_slot(session), hold_until=session.booked.hold_until), now)


def slot_refused(session: Session, reasons: Sequence[Reason], now: datetime) -> Transition:
    return booking.slot_refused(session, SlotRefused(**_slot(session), reasons=list(reasons)), now)


def slot_lapsed(session: Session, now: datetime) -> Transition:
    return booking.slot_lapsed(session, SlotReleased(**_slot(session), cause="lapsed", reopened=True), now)


def credit_held(session: Session, co_pay: bool, now: datetime, amount: Money | None = None) -> Transition:
    event = CreditHeld(
        **_hold(session),
        hold_id=ID,
        funding="co_pay" if co_pay else "credit",
        plan_id="plan",
        available_after=3,
        hold_until=session.booked.hold_until,
        co_pay=None if amount is None else Price(amount_minor=amount.amount_minor, currency=amount.currency),
    )
    return booking.credit_held(session, event, now)


def credit_refused(session: Session, reasons: Sequence[Reason], purchasable: bool, now: datetime) -> Transition:
    event = CreditRefused(**_hold(session), reasons=list(reasons), purchasable=purchasable)
    return booking.credit_refused(session, event, now)


def credit_settled(session: Session, state: CreditState, cause: SettleCause | None, now: datetime) -> Transition:
    facts = _movement(session)
    event: CreditSpent | CreditForfeited | CreditReturned = CreditSpent(**facts)
    if state != "spent":
        assert cause is not None
        event = CreditForfeited(**facts, cause=cause)
    if state == "returned":
        assert cause is not None
        event = CreditReturned(**facts, cause=cause, source="plan", expires_at=None)
    return booking.credit_settled(session, event, now)


def credit_corrected(session: Session, state: Literal["spent", "returned", "forfeited"]) -> Transition:
    event = CreditCorrected(**_movement(session), state=state, source="plan", expires_at=None)
    return booking.credit_corrected(session, event, session.booked.requested_at)


def co_pay_lapsed(session: Session, now: datetime) -> Transition:
    event = InvoiceVoided(**_hold(session), invoice_id=ID, amount_minor=2500, currency="USD", cause="lapsed")
    return booking.co_pay_lapsed(session, event, now)


def move_paid(session: Session, move_id: str, added: Literal["credit", "co_pay"] | None, now: datetime) -> Transition:
    """`added`: another hold, beside the one that stands."""
    event = MoveCreditHeld(
        **_hold(session),
        move_id=move_id,
        hold_id=ID,
        how="kept" if added is None else "added",
        funding=added or "credit",
    )
    return moves.move_credit_held(session, event, now)


def move_unpaid(session: Session, move_id: str, reasons: Sequence[Reason], purchasable: bool) -> Transition:
    event = MoveCreditRefused(**_hold(session), move_id=move_id, reasons=list(reasons), purchasable=purchasable)
    return moves.move_credit_refused(session, event, session.booked.requested_at)


def slot_moved(session: Session, move_id: str, now: datetime) -> Transition:
    old, new = session.booked, session.move or session.booked
    facts = {**_slot(session), "starts_at": new.starts_at, "ends_at": new.ends_at}
    event = SlotMoved(
        **facts,
        move_id=move_id,
        old_starts_at=old.starts_at,
        old_ends_at=old.ends_at,
        blocked_from=new.starts_at,
        blocked_until=new.ends_at,
    )
    return moves.slot_moved(session, event, now)


def slot_stays(session: Session, move_id: str, reasons: Sequence[Reason]) -> Transition:
    event = SlotMoveRefused(**_slot(session), move_id=move_id, reasons=list(reasons))
    return moves.slot_move_refused(session, event, session.booked.requested_at)
