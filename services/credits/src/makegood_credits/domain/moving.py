"""What a session costs at another time (RESC-1): what is held already, or an additional credit or co-pay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_contracts.events import SessionMoved, SessionMoveRequested
from makegood_contracts.reasons import Reason
from makegood_plans.coverage import covering
from makegood_plans.funding import fits, is_valid, made_good_for, no_credit, not_in_plan, paying_lot

from makegood_credits.domain.book import Book
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.endings import Ending, replaced_by_move
from makegood_credits.domain.enrolling import catch_up
from makegood_credits.domain.holding import (
    Hold,
    HoldRefusal,
    HoldRequest,
    set_aside,
)
from makegood_credits.domain.invoices import due_on, put_off
from makegood_credits.domain.settling import guarantee_held, settle

MARGIN: Final = timedelta(minutes=15)
"""How long what was added for a move is held after its `decide_by`, unless booking says earlier that it continues
(AVAIL-4).
"""


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """A move that must be paid for. `session` is the session as it would be; its `hold_until` is `decide_by`."""

    session: HoldRequest
    forfeits: bool
    caused_by_provider: bool = False
    """Whether the member moves it because of something the provider did (RESC-3, EXT-1)."""

    @classmethod
    def of(cls, event: SessionMoveRequested) -> MoveRequest:
        """What the move asks for."""
        # A session that keeps its length keeps its extension. The plan pays for the booked length (EXT-1).
        kept = event.extended_minutes if event.new_length_minutes == event.length_minutes else 0
        session = HoldRequest(
            session_id=event.session_id,
            provider_id=event.provider_id,
            starts_at=event.new_starts_at,
            ends_at=event.new_ends_at,
            length_minutes=event.new_length_minutes - kept,
            modality=event.modality,
            specialty=event.specialty,
            booked_by=event.moved_by,
            hold_until=event.decide_by,
        )
        return cls(session, event.forfeits, event.caused_by_provider)


def fund_move(book: Book, hold: Hold | None, move: MoveRequest, now: datetime) -> Literal["kept"] | Hold | HoldRefusal:
    """Returns `kept` if what is held is enough. Otherwise holds another credit or co-pay in addition (RESC-1).

    Another one is needed if the move forfeits what is held (because of too little notice), if the held credit will have
    lapsed by the new time, or if it is for another length. What is held stays as it is in any case. An overdue invoice
    does not prevent a move. The member's plan and credits never prevent a move by the provider: if nothing else pays,
    what is held does (RESC-2). The same applies if the member moves because of what the provider did (RESC-3).
    """
    request = move.session
    if hold is None or hold.state != "held" or now >= request.hold_until:
        return HoldRefusal(
            (Reason(code="temporary-interruption", detail="The move took too long. Nothing was changed."),)
        )
    if book.next_due is not None and book.next_due <= now:
        catch_up(book, now)
    enrolment = covering(book.enrolments, request.starts_at)
    if not move.forfeits and _will_do(book, hold, enrolment, request):
        return "kept"
    request = replace(request, co_pay_due_days=hold.co_pay_due_days)
    lot = paying_lot(enrolment, book.lots.values(), request)
    if lot is None:
        reasons = not_in_plan(enrolment, request)
        if enrolment is not None and not reasons:
            reasons = no_credit(enrolment, book.enrolments, book.lots.values(), request, now)
        if reasons and not move.forfeits and _still_pays(book, hold, enrolment, move):
            return "kept"
        if reasons:
            return HoldRefusal(tuple(reasons), enrolment is not None and enrolment.plan.purchasable)
    added = set_aside(book, enrolment, lot, request, now, "Set aside for a session that is to be moved.")
    added.hold_until = request.hold_until + MARGIN
    return added


def _will_do(book: Book, hold: Hold, enrolment: Enrolment | None, request: HoldRequest) -> bool:
    """Whether what is held also pays for the session at its new time. A co-pay does so on its own plan. A credit that
    was made good for this length, or is guaranteed for it, does so on every plan and after coverage has ended (MISS-4).
    """
    lot = None if hold.lot_id is None else book.lots[hold.lot_id]
    if lot is not None and (made_good_for(lot, request) or _guaranteed_for(hold, request)):
        return True
    if enrolment is None or not_in_plan(enrolment, request):
        return False
    return hold.plan_id == enrolment.plan_id if lot is None else fits(lot, request)


def _guaranteed_for(hold: Hold, request: HoldRequest) -> bool:
    """Whether the credit, if it were returned, would be made good for this length until after the new start (MISS-4)."""
    good = hold.guarantee
    return good is not None and good.minutes == request.length_minutes and good.until > request.starts_at


def _still_pays(book: Book, hold: Hold, enrolment: Enrolment | None, move: MoveRequest) -> bool:
    """Whether what is held pays even though the plan does not include the session. It always does for a provider's
    move. For a member's move, the length must stay the same, and one of these must be true: the member moves because of
    what the provider did (RESC-3), the session takes place no later, or its plan was replaced since. Otherwise a credit
    could be carried into another period, beyond the end of coverage, or beyond the validity of a credit that was made
    good (PLAN-1, BOOK-7, MISS-4).
    """
    request = move.session
    if request.booked_by == "provider":
        return True
    if hold.length_minutes != request.length_minutes:
        return False
    if move.caused_by_provider:
        return True
    if hold.starts_at is not None and request.starts_at <= hold.starts_at:
        return True
    lot = None if hold.lot_id is None else book.lots[hold.lot_id]
    replaced = enrolment is not None and enrolment.plan_id != hold.plan_id
    return replaced and (lot is None or lot.period is not None or is_valid(lot, request.starts_at))


def apply_move(book: Book, hold: Hold, added: Hold | None, event: SessionMoved, now: datetime) -> Hold | None:
    """Completes a move (RESC-1). What was added for it replaces what is held. Without an addition, what is held stays.
    Returns the settled hold that was replaced, if any.
    """
    hold.starts_at, hold.ends_at = event.starts_at, event.ends_at
    if added is None:
        old = None
        if event.caused_by_provider:
            guarantee_held(book, hold, event.moved_at, now)
        _put_off_co_pay(book, hold, event)
    else:
        old = take_place(book, hold, added, replaced_by_move(event), now)
    hold.length_minutes = event.length_minutes - event.extended_minutes
    return old


def _put_off_co_pay(book: Book, hold: Hold, event: SessionMoved) -> None:
    """A pending co-pay is due `days` after the session's new day (CRED-7)."""
    if hold.invoice is not None and hold.invoice.status == "pending":
        enrolment = covering(book.enrolments, event.starts_at)
        time_zone = enrolment.time_zone if enrolment else event.time_zone
        put_off(book, hold.invoice, due_on(event.ends_at, hold.co_pay_due_days, time_zone), time_zone)


def take_place(book: Book, hold: Hold, added: Hold, ending: Ending, now: datetime) -> Hold:
    """Settles the old hold and makes the added one the session's, without an end (CRED-3). Returns the old hold."""
    old = replace(hold)
    settle(book, old, ending, now)
    hold.id, hold.plan_id, hold.state = added.id, added.plan_id, "held"
    hold.lot_id, hold.invoice, hold.firm = added.lot_id, added.invoice, True
    hold.guarantee = added.guarantee
    return old


def another_length(event: SessionMoved) -> bool:
    """Whether the session's length has changed, so that it is no longer extended (EXT-1)."""
    return event.ends_at - event.starts_at != event.old_ends_at - event.old_starts_at
