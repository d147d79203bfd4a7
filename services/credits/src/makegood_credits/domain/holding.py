"""Holds what a booking costs, or refuses with every reason that applies (BOOK-4, BOOK-7, CRED-2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from makegood_contracts.events import Actor, SessionRequested
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason
from makegood_plans.funding import SessionTerms, fund

from makegood_credits.domain.book import Account, Book, Guarantee, Lot, Note
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.enrolling import catch_up
from makegood_credits.domain.guarantees import take
from makegood_credits.domain.invoices import Invoice, due_on, pending_co_pay

HoldState = Literal["held", "spent", "returned", "forfeited", "refused", "ended"]
"""`refused`: nothing was set aside. `ended`: the session ended before it asked for a hold."""


TOO_LATE: Final = Reason(
    code="temporary-interruption", detail="The booking took too long. Nothing was charged or reserved."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest(SessionTerms):
    """A session that needs a credit."""

    session_id: str
    provider_id: str
    ends_at: datetime
    booked_by: Actor
    hold_until: datetime
    co_pay_due_days: int = 14
    """Under the policy with which the session is booked (CRED-7)."""

    @classmethod
    def of(cls, event: SessionRequested) -> HoldRequest:
        """What the booking asks for."""
        return cls(
            session_id=event.session_id,
            provider_id=event.provider_id,
            starts_at=event.starts_at,
            ends_at=event.ends_at,
            length_minutes=event.length_minutes,
            modality=event.modality,
            specialty=event.specialty,
            booked_by=event.booked_by,
            hold_until=event.hold_until,
            co_pay_due_days=event.co_pay_due_days,
        )


@dataclass(slots=True)
class Hold:
    """What is held for a session: one credit of `lot_id`, or a pending co-pay. It lapses at `hold_until` unless firm."""

    session_id: str
    id: str
    member_id: str
    plan_id: str
    state: HoldState
    hold_until: datetime
    lot_id: str | None = None
    firm: bool = False
    length_minutes: int | None = None
    """The booked length, without extensions. None for holds of an earlier release."""
    guarantee: Guarantee | None = None
    """The credit's guarantee before it was held. It applies again if the member cancels in time (MISS-4)."""
    invoice: Invoice | None = None
    answers: int = 1
    """The number of events about the session in the holds' topic so far."""
    moving: bool = False
    """Whether another hold was ever added for a move."""
    extended: bool = False
    """Whether an extension of the session was charged for."""
    by_hand: bool = False
    """Whether support returned the credit by hand. No corrected outcome takes it away again (MISS-5)."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    """When the session takes place, as requested or last moved. None for holds of an earlier release."""
    co_pay_due_days: int = 14
    """From the policy with which the session was booked, for the charges of later moves (CRED-7)."""

    @property
    def invoice_id(self) -> str | None:
        return None if self.invoice is None else self.invoice.id


@dataclass(frozen=True, slots=True)
class HoldRefusal:
    """Nothing was held. `purchasable`: the plan allows buying a credit (BOOK-4)."""

    reasons: tuple[Reason, ...]
    purchasable: bool = False


def hold(book: Book, request: HoldRequest, now: datetime) -> Hold | HoldRefusal:
    """Holds what the session costs: a credit (CRED-2), or a co-pay, which is pending from now on (PLAN-1)."""
    if book.next_due is not None and book.next_due <= now:
        catch_up(book, now)
    funding = fund(request, book.enrolments, book.lots.values(), now, overdue=bool(book.overdue))
    if reasons := (TOO_LATE,) if now >= request.hold_until else funding.reasons:
        return HoldRefusal(reasons, funding.coverage is not None and funding.coverage.plan.purchasable)
    return set_aside(book, funding.coverage, funding.lot, request, now)


def set_aside(
    book: Book,
    enrolment: Enrolment | None,
    lot: Lot | None,
    request: HoldRequest,
    now: datetime,
    reason: str = "Set aside for a session.",
) -> Hold:
    """Holds a credit of the lot or, without a lot, the plan's co-pay. The caller has checked that nothing forbids it."""
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


def _who(request: HoldRequest, member_id: str) -> str:
    return {"member": member_id, "provider": request.provider_id}.get(request.booked_by, request.booked_by)
