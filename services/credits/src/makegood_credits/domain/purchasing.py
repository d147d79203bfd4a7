"""CRED-6: single credits that a member buys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from makegood_contracts.events import PlanKind
from makegood_plans.coverage import covering
from makegood_plans.plans import Money

from makegood_credits.domain.book import PURCHASED, Account, Book, LedgerEntry, Note
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.plans import CataloguePlan

STANDS: Final = timedelta(days=365)
"""How long a purchased credit can be used: a year from the day it was paid."""

PurchaseStatus = Literal["pending", "paid", "failed"]


@dataclass(slots=True)
class Purchase:
    """Credits that a member wants to buy. `length_minutes` None: for every length of the plan."""

    id: str
    member_id: str
    plan_id: str
    quantity: int
    length_minutes: int | None
    amount: Money
    status: PurchaseStatus = "pending"
    lot_id: str | None = None
    """The lot of the credits, once they are paid."""


@dataclass(frozen=True, slots=True)
class PurchaseRefusal:
    """The plan does not allow this purchase. `reason` is listed in the answer."""

    reason: dict[str, Any]


def purchase(
    book: Book, purchase_id: str, quantity: int, length_minutes: int | None, now: datetime
) -> Purchase | PurchaseRefusal:
    """Starts a purchase if a plan that allows it covers the member now, for one of its lengths (CRED-6, PLAN-1)."""
    plan = _selling_plan(book, length_minutes, now)
    if isinstance(plan, PurchaseRefusal):
        return plan
    assert plan.unit_price is not None, "a plan that sells has a price"
    price = Money(plan.unit_price.amount_minor * quantity, plan.unit_price.currency)
    return Purchase(purchase_id, book.member_id, plan.id, quantity, length_minutes or plan.lot_length, price)


def _selling_plan(book: Book, length_minutes: int | None, now: datetime) -> CataloguePlan | PurchaseRefusal:
    """The plan that covers the member now, if it lets credits for that length be bought."""
    enrolment = covering(book.enrolments, now)
    plan = enrolment.plan if enrolment is not None else None
    if plan is None or not plan.purchasable or plan.unit_price is None:
        return PurchaseRefusal(_not_allowed(book, enrolment))
    lengths = sorted({*plan.lengths, *plan.psychiatry_lengths})
    if length_minutes is not None and length_minutes not in lengths:
        detail = f"The plan includes sessions of {', '.join(map(str, lengths))} minutes."
        return PurchaseRefusal(
            {"code": "length-not-in-plan", "detail": detail, "remedy": {"action": "choose_plan_length"}}
        )
    return plan


def _not_allowed(book: Book, enrolment: Enrolment | None) -> dict[str, Any]:
    """Why nothing can be bought, and what the member can do instead, depending on the kind of plan.

    Remedies have the same codes as in bookability (BOOK-8).
    """
    latest = enrolment or max(book.enrolments, key=lambda each: (each.covers_from, each.id), default=None)
    detail = "There is no coverage now." if enrolment is None else "Single credits cannot be bought on this plan."
    remedy = {"action": "check_credits", "href": f"/v1/members/{book.member_id}/credits"}
    if latest is None:
        remedy = {"action": "choose_plan", "href": "/v1/plans"}
    elif enrolment is not None and not enrolment.plan.has_live_sessions:
        remedy = {"action": "change_plan", "href": "/v1/plans"}
    elif enrolment is None or latest.plan.kind in ("eap", "sponsored"):
        remedy = _RENEWALS[latest.plan.kind]
    elif enrolment.plan.co_pay is not None:
        detail = "No credits are needed on this plan: a co-pay is due after each session."
    return {"code": "purchase-not-allowed", "detail": detail, "remedy": remedy}


_RENEWALS: Final[dict[PlanKind, dict[str, str]]] = {
    "health_insurance": {"action": "renew_insurance_coverage"},
    "eap": {"action": "get_more_sessions"},
    "sponsored": {"action": "renew_sponsored_benefits"},
    "out_of_pocket": {"action": "renew_plan", "href": "/v1/plans"},
}


def paid(book: Book, bought: Purchase, now: datetime) -> LedgerEntry | PurchaseRefusal | None:
    """Completes a paid purchase (CRED-6). The credits arrive once, in a separate lot, even after a reported failure.

    If the member's plan no longer sells them, they are refused and the money must be refunded.
    """
    if bought.status == "paid":
        return None
    plan = _selling_plan(book, bought.length_minutes, now)
    if isinstance(plan, PurchaseRefusal):
        bought.status = "failed"
        return plan
    bought.status = "paid"
    lot = book.open_lot("purchase", bought.length_minutes, now + STANDS)
    bought.lot_id = lot.id
    note = Note(now, book.member_id, "Bought by the member.")
    return book.transfer("purchase", PURCHASED, Account.available(lot), note, bought.quantity)


def not_paid(bought: Purchase) -> None:
    """Marks a purchase as failed or abandoned (CRED-6). A paid one stays paid, even if a failure is reported later."""
    if bought.status == "pending":
        bought.status = "failed"
