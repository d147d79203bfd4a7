"""`credits.ledger.v1`: settled movements of a member's credits, and charges. `amount` counts credits; money is in minor
units."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.topics import LEDGER, Topic

LotSource = Literal["plan", "purchase", "adjustment", "make_good"]
SettleCause = Literal[
    "rejected",
    "declined",
    "expired",
    "cancelled",
    "completed",
    "provider_missed",
    "member_no_show",
    "lapsed",
    "support",
    "moved",
    "corrected",
]
"""Why a hold was settled. `moved`: a move made this hold superfluous: the old hold after an added one replaced it, or an added
hold that was not needed in the end. The session itself keeps its other hold (RESC-1)."""


class LedgerFact(Event, frozen=True, kw_only=True):
    """A movement of credits. `available_after` and `held_after` are the member's balances after it."""

    topic: ClassVar[Topic] = LEDGER

    entry_id: str
    member_id: str
    lot_id: str
    amount: int
    available_after: int
    held_after: int


class CreditGranted(LedgerFact, frozen=True, kw_only=True):
    """The member was granted credits, by the plan for a period (PLAN-1) or by a purchase (CRED-6)."""

    source: LotSource
    length_minutes: int | None
    expires_at: datetime | None


class CreditExpired(LedgerFact, frozen=True, kw_only=True):
    """Unused credits expired."""


class CreditReturned(LedgerFact, frozen=True, kw_only=True):
    """A held credit was returned (MISS-2, CANC-1). `lot_id` is the lot it is in now, `expires_at` when that lot expires."""

    session_id: str
    hold_id: str
    cause: SettleCause
    source: LotSource
    expires_at: datetime | None
    length_minutes: int | None = None
    """The lot's length, as in `CreditGranted`."""
    made_for_minutes: int | None = None
    """MISS-4, for a credit that was made good: until `expires_at` it also pays for a session of this length, whatever the plan
    is by then and even after coverage has ended. This adds to what `length_minutes` allows."""


class CreditForfeited(LedgerFact, frozen=True, kw_only=True):
    """A held credit was forfeited (CANC-1, NOSH-1)."""

    session_id: str
    hold_id: str
    cause: SettleCause


class CreditSpent(LedgerFact, frozen=True, kw_only=True):
    """A held credit was spent (JOIN-2)."""

    session_id: str
    hold_id: str


class CreditAdjusted(LedgerFact, frozen=True, kw_only=True):
    """Support changed the balance (CRED-5). The reason is in the ledger, not here.

    With `made_by: system`, either expired credits are back because the plan was resumed (PLAN-1), or a session's credit
    changed lots: one event takes it out, another puts it in (MISS-4).
    """

    session_id: str | None = None
    made_by: str
    source: LotSource = "adjustment"
    length_minutes: int | None = None
    expires_at: datetime | None = None
    made_for_minutes: int | None = None
    """As in `CreditReturned`."""


class CreditCorrected(LedgerFact, frozen=True, kw_only=True):
    """A corrected outcome changed the state of a session's credit (MISS-5). `state` is the new state."""

    session_id: str
    hold_id: str
    state: Literal["spent", "returned", "forfeited"]
    source: LotSource
    expires_at: datetime | None
    length_minutes: int | None = None
    made_for_minutes: int | None = None
    """As in `CreditReturned`."""


class LotExpiryChanged(Event, frozen=True, kw_only=True):
    """A lot's expiry changed because its plan's coverage ends at another time (PLAN-1)."""

    topic: ClassVar[Topic] = LEDGER

    member_id: str
    lot_id: str
    expires_at: datetime | None


class InvoiceFact(Event, frozen=True, kw_only=True):
    """The fields of every invoice event."""

    topic: ClassVar[Topic] = LEDGER

    invoice_id: str
    member_id: str
    session_id: str | None = None
    amount_minor: int
    currency: str


class InvoiceIssued(InvoiceFact, frozen=True, kw_only=True):
    """A charge is due on `due_on`. `about`: what it is for (PLAN-1, EXT-1)."""

    due_on: date
    about: Literal["co_pay", "extension"] = "co_pay"


class InvoicePaid(InvoiceFact, frozen=True, kw_only=True):
    """The charge was paid (CRED-7)."""

    paid_at: datetime


class InvoiceOverdue(InvoiceFact, frozen=True, kw_only=True):
    """The charge was not paid in time. Until it is paid, the member cannot book (CRED-7, BOOK-7)."""

    due_on: date


class InvoiceVoided(InvoiceFact, frozen=True, kw_only=True):
    """The charge was voided: nothing is owed (MISS-3)."""

    cause: SettleCause
    was_due: bool = False
    """It had been issued, and may have been overdue or paid. False: it was still pending."""
    refunds: bool = False
    """It had been paid, and the money is refunded."""


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """A payment was not accepted and is refunded: the plan no longer sells credits, or the charge is not owed (CRED-6, CRED-7).
    `InvoiceVoided` announces the refund of a payment that had been accepted."""

    topic: ClassVar[Topic] = LEDGER

    member_id: str
    purchase_id: str | None = None
    invoice_id: str | None = None
    """What was paid for: exactly one of `purchase_id` and `invoice_id` is set."""
    amount_minor: int
    currency: str
