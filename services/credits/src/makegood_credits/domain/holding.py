"""BOOK-4, BOOK-7, CRED-2: what a booking costs is set aside, or refused with every reason that applies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from makegood_contracts.events import Actor, Modality, SessionRequested, Specialty
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason

from makegood_credits.domain.book import Account, Book, Guarantee, Lot, Note
from makegood_credits.domain.coverage import Enrolment, covering, next_credits
from makegood_credits.domain.enrolling import catch_up
from makegood_credits.domain.guarantees import take
from makegood_credits.domain.invoices import Invoice, due_on, pending_co_pay
from makegood_credits.domain.plans import Plan

HoldState = Literal["held", "spent", "returned", "forfeited", "refused", "ended"]
"""`refused`: nothing was set aside. `ended`: the session was over before it asked for anything."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A session that asks for its credit."""

    session_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: Modality
    booked_by: Actor
    hold_until: datetime
    specialty: Specialty = "therapy"
    co_pay_due_days: int = 14
    """CRED-7: by the policy that the session is booked under."""

    @classmethod
    def of(cls, event: SessionRequested) -> HoldRequest:
        """What the booking asks for."""
        return cls(
            event.session_id,
            event.provider_id,
            event.starts_at,
            event.ends_at,
            event.length_minutes,
            event.modality,
            event.booked_by,
            event.hold_until,
            event.specialty,
            event.co_pay_due_days,
        )


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
    answers: int = 1
    """Events about the session in the holds' topic so far."""
    moving: bool = False
    """Whether another hold was ever added beside it, for a move."""
    extended: bool = False
    """Whether an extension of the session was charged for."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    """When the session is, as it was asked for or last moved; None for holds of an earlier release."""
    by_hand: bool = False
    """Whether support gave the credit back by hand: no corrected outcome takes it away again (MISS-5)."""
    length_minutes: int | None = None
    """What the session was booked for, without extensions; None for holds of an earlier release."""
    co_pay_due_days: int = 14
    """CRED-7: of the policy that the session was booked under, for the charges of later moves."""
    guarantee: Guarantee | None = None
    """MISS-4: what was guaranteed of the credit before it was held; it is so again if the member gives it back in time."""


@dataclass(frozen=True, slots=True)
class HoldRefusal:
    """Nothing was set aside. `purchasable`: on this plan a credit can be bought (BOOK-4)."""

    reasons: tuple[Reason, ...]
    purchasable: bool = False


def hold(book: Book, request: HoldRequest, now: datetime) -> Hold | HoldRefusal:
    """Sets aside what the session costs: a credit (CRED-2), or a co-pay that is pending from here (PLAN-1)."""
    if book.next_due is not None and book.next_due <= now:
        catch_up(book, now)
    enrolment = covering(book.enrolments, request.starts_at)
    lot = best_lot(book, enrolment, request)
    if reasons := refusals(book, enrolment, lot, request, now):
        return HoldRefusal(tuple(reasons), enrolment is not None and enrolment.plan.purchasable)
    return set_aside(book, enrolment, lot, request, now)


def set_aside(
    book: Book,
    enrolment: Enrolment | None,
    lot: Lot | None,
    request: HoldRequest,
    now: datetime,
    reason: str = "Set aside for a session.",
) -> Hold:
    """Holds a credit of the lot; without one, the pending co-pay that the plan asks for. Nothing stands against it."""
    plan_id = lot.made_under if lot is not None else None
    if plan_id is None:
        assert enrolment is not None, "coverage-ended was not among the reasons"
        plan_id = enrolment.plan_id
    held = Hold(request.session_id, new_id(), book.member_id, plan_id, "held", request.hold_until)
    held.starts_at, held.ends_at = request.starts_at, request.ends_at
    held.length_minutes, held.co_pay_due_days = request.length_minutes, request.co_pay_due_days
    if lot is None:
        assert enrolment is not None, "coverage-ended was not among the reasons"
        assert enrolment.plan.co_pay is not None, "no-session-credits was not among the reasons"
        held.invoice = pending_co_pay(
            book.member_id,
            request.session_id,
            enrolment.plan.co_pay,
            due_on(request.ends_at, request.co_pay_due_days, enrolment.time_zone),
            enrolment.time_zone,
        )
        return held
    held.lot_id, held.guarantee = lot.id, take(lot, request.length_minutes, now)
    note = Note(now, _who(request, book.member_id), reason, request.session_id, held.id)
    book.transfer("hold", Account.available(lot), Account.held(lot), note)
    return held


def best_lot(book: Book, enrolment: Enrolment | None, request: HoldRequest) -> Lot | None:
    """CRED-2: of the lots that pay for this session, the one that lapses first and still stands at its start.

    MISS-4: a credit that was made good for this length pays whatever the plan is, and without any; every other one where the
    plan includes the session and asks for credits.
    """
    planned = enrolment is not None and enrolment.plan.co_pay is None and not not_covered(enrolment, request)
    best: Lot | None = None
    for lot in book.lots.values():
        if not lot.available or not (made_good_for(lot, request) or (planned and fits(lot, request))):
            continue
        if best is None or _sooner(lot, best):
            best = lot
    return best


def refusals(
    book: Book, enrolment: Enrolment | None, lot: Lot | None, request: HoldRequest, now: datetime
) -> list[Reason]:
    """BOOK-4, BOOK-7: every reason why this session cannot be booked; empty if it can. `lot`: what pays for it, if any does."""
    if now >= request.hold_until:
        return [
            Reason(code="temporary-interruption", detail="The booking took too long. Nothing was charged or reserved.")
        ]
    reasons = not_covered(enrolment, request) if lot is None else []
    if book.overdue:
        reasons.append(Reason(code="outstanding-charges", detail="The member has an overdue invoice."))
    if lot is None and enrolment is not None and enrolment.plan.has_live_sessions:
        reasons += no_credit(book, enrolment.plan, request)
    return reasons


def not_covered(enrolment: Enrolment | None, request: HoldRequest) -> list[Reason]:
    """BOOK-7, PLAN-1: why the plan does not include this session, whatever is left of its credits."""
    if enrolment is None:
        return [Reason(code="coverage-ended", detail="The member has no coverage on the day of the session.")]
    plan = enrolment.plan
    if not plan.has_live_sessions:
        return [Reason(code="plan-excludes-live-sessions", detail="The member's plan has no live sessions.")]
    reasons = []
    lengths = plan.lengths_of(request.specialty)
    if request.length_minutes not in lengths:
        what = "sessions" if request.specialty == "therapy" else "psychiatry sessions"
        of = f"{what} of {', '.join(map(str, lengths))} minutes" if lengths else f"no {what}"
        reasons.append(Reason(code="length-not-in-plan", detail=f"The plan includes {of}."))
    if request.modality not in plan.modalities:
        modalities = ", ".join(plan.modalities)
        reasons.append(Reason(code="modality-not-in-plan", detail=f"The plan includes sessions by {modalities}."))
    return reasons


def no_credit(book: Book, plan: Plan, request: HoldRequest) -> list[Reason]:
    """BOOK-4: that no credit is left for the session, where the plan asks for one; and when the next ones come.

    Where the length itself is not in the plan, a credit of any length counts as one that is left.
    """
    if plan.co_pay is not None:
        return []
    in_plan = request.length_minutes in plan.lengths_of(request.specialty)
    if any(
        lot.available and (fits(lot, request) if in_plan else stands(lot, request.starts_at))
        for lot in book.lots.values()
    ):
        return []
    more = "; one can be bought" if plan.purchasable else ""
    coming = next_credits(book.enrolments, request.starts_at)
    return [
        Reason(
            code="no-session-credits",
            detail=f"The member has no credit left for a session of this length on that day{more}.",
            available_from=coming.available_from if coming else None,
            credits=coming.credits if coming else None,
        )
    ]


def stands(lot: Lot, moment: datetime) -> bool:
    """Whether the lot has not lapsed at that moment."""
    return lot.expires_at is None or lot.expires_at > moment


def made_good_for(lot: Lot, request: HoldRequest) -> bool:
    """MISS-4: whether a credit of this lot was made good for the session's length, and still stands when it starts."""
    return lot.made_for_minutes == request.length_minutes and stands(lot, request.starts_at)


def fits(lot: Lot, request: HoldRequest) -> bool:
    """CRED-2: whether a credit of this lot is for the session's length and still stands when it starts."""
    return stands(lot, request.starts_at) and lot.length_minutes in (None, request.length_minutes)


def _sooner(lot: Lot, other: Lot) -> bool:
    if lot.expires_at == other.expires_at:
        return lot.id < other.id
    return lot.expires_at is not None and (other.expires_at is None or lot.expires_at < other.expires_at)


def _who(request: HoldRequest, member_id: str) -> str:
    return {"member": member_id, "provider": request.provider_id}.get(request.booked_by, request.booked_by)
