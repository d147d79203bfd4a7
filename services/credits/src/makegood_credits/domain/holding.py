"""BOOK-4, CRED-2: what a booking costs is set aside, or refused with every reason that applies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from makegood_contracts.events import Actor, Modality
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason

from makegood_credits.domain.book import Book, Lot
from makegood_credits.domain.coverage import Enrolment, covering, local_day
from makegood_credits.domain.enrolling import catch_up
from makegood_credits.domain.plans import Money

HoldState = Literal["held", "spent", "returned", "forfeited", "refused", "ended"]
"""`refused`: nothing was set aside. `ended`: the session was over before it asked for anything."""


@dataclass(frozen=True, slots=True)
class Request:
    """A session that asks for its credit."""

    session_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: Modality
    booked_by: Actor
    hold_until: datetime


@dataclass(slots=True)
class Invoice:
    """A charge for a session."""

    id: str
    member_id: str
    session_id: str
    status: Literal["pending", "issued", "paid", "void", "overdue"]
    amount: Money
    due_on: date


@dataclass(slots=True)
class Hold:
    """What is set aside for a session: one credit of `lot_id`, or a pending co-pay. It lapses at `hold_until` unless firm."""

    session_id: str
    id: str
    member_id: str
    plan_id: str
    state: HoldState
    hold_until: datetime
    lot_id: str | None = None
    invoice: Invoice | None = None
    firm: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was set aside. `purchasable`: on this plan a credit can be bought (BOOK-4)."""

    reasons: tuple[Reason, ...]
    purchasable: bool = False


def hold(book: Book, request: Request, now: datetime) -> Hold | Refusal:
    """Sets aside what the session costs: a credit (CRED-2), or a co-pay that is pending from here (PLAN-1)."""
    if book.next_due is not None and book.next_due <= now:
        catch_up(book, now)
    enrolment = covering(book.enrolments, request.starts_at)
    lot = best_lot(book, request)
    reasons = refusals(book, enrolment, request, now)
    if reasons or enrolment is None:
        return Refusal(tuple(reasons), enrolment is not None and enrolment.plan.purchasable)
    held = Hold(request.session_id, new_id(), book.member_id, enrolment.plan_id, "held", request.hold_until)
    if enrolment.plan.co_pay is not None:
        day = local_day(request.ends_at, enrolment.time_zone)
        held.invoice = Invoice(new_id(), book.member_id, request.session_id, "pending", enrolment.plan.co_pay, day)
        return held
    assert lot is not None, "no-session-credits was not among the reasons"
    held.lot_id = lot.id
    book.post(
        "hold",
        1,
        debit=lot,
        credit=lot,
        at=now,
        made_by=_who(request, book.member_id),
        reason="Set aside for a session.",
        session_id=request.session_id,
        hold_id=held.id,
    )
    return held


def best_lot(book: Book, request: Request) -> Lot | None:
    """CRED-2: of the lots with a credit left for this length, the one that lapses first and still stands at the start."""
    best: Lot | None = None
    for lot in book.lots.values():
        if not _stands(lot, request.starts_at) or lot.length_minutes not in (None, request.length_minutes):
            continue
        if best is None or _sooner(lot, best):
            best = lot
    return best


def refusals(book: Book, enrolment: Enrolment | None, request: Request, now: datetime) -> list[Reason]:
    """BOOK-4, BOOK-7: every reason why the member's plan does not pay for this session; empty if it does.

    Where the length itself is not in the plan, a credit of any length counts as one that is left.
    """
    if now >= request.hold_until:
        return [Reason(code="temporary-interruption", detail="The booking took too long; nothing was taken.")]
    if enrolment is None:
        return [Reason(code="coverage-ended", detail="The member's coverage does not reach the session's day.")]
    plan = enrolment.plan
    if not plan.has_live_sessions:
        return [Reason(code="plan-excludes-live-sessions", detail="The member's plan has no live sessions.")]
    reasons = []
    length_fits = request.length_minutes in plan.lengths
    if not length_fits:
        lengths = ", ".join(str(length) for length in plan.lengths)
        reasons.append(Reason(code="length-not-in-plan", detail=f"The plan includes sessions of {lengths} minutes."))
    if request.modality not in plan.modalities:
        modalities = ", ".join(plan.modalities)
        reasons.append(Reason(code="modality-not-in-plan", detail=f"The plan includes sessions by {modalities}."))
    if plan.co_pay is None:
        left = (
            best_lot(book, request) is not None
            if length_fits
            else any(_stands(lot, request.starts_at) for lot in book.lots.values())
        )
        if not left:
            more = "; one can be bought" if plan.purchasable else ""
            detail = f"No credit is left for a session of this length on that day{more}."
            reasons.append(Reason(code="no-session-credits", detail=detail))
    return reasons


def _stands(lot: Lot, moment: datetime) -> bool:
    return lot.available > 0 and (lot.expires_at is None or lot.expires_at > moment)


def _sooner(lot: Lot, other: Lot) -> bool:
    if lot.expires_at == other.expires_at:
        return lot.id < other.id
    return lot.expires_at is not None and (other.expires_at is None or lot.expires_at < other.expires_at)


def _who(request: Request, member_id: str) -> str:
    return {"member": member_id, "provider": request.provider_id}.get(request.booked_by, request.booked_by)
