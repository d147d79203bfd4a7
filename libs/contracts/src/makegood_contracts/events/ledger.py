"""`credits.ledger.v1`: settled movements of a member's credits, and charges. Amounts count credits; money is minor units."""

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
"""Why a hold was settled. `moved`: because of a move alone, of the hold that the session no longer, or never, stood on: the old
one whose place an added one took, or an added one that goes back, whatever ended the move. It is not the end of the
session's credit (RESC-1)."""


class LedgerFact(Event, frozen=True, kw_only=True):
    """One movement. `available_after` and `held_after` are the member's balances once it is entered."""

    topic: ClassVar[Topic] = LEDGER

    entry_id: str
    member_id: str
    lot_id: str
    amount: int
    available_after: int
    held_after: int


class CreditGranted(LedgerFact, frozen=True, kw_only=True):
    """The plan gave credits for a period (PLAN-1)."""

    source: LotSource
    length_minutes: int | None
    expires_at: datetime | None


class CreditExpired(LedgerFact, frozen=True, kw_only=True):
    """Credits lapsed unused."""


class CreditReturned(LedgerFact, frozen=True, kw_only=True):
    """A held credit came back (MISS-2, CANC-1). `lot_id` is where it now lies; `expires_at` when it lapses there."""

    session_id: str
    hold_id: str
    cause: SettleCause
    source: LotSource
    expires_at: datetime | None
    length_minutes: int | None = None
    """Of the lot, as `CreditGranted` has it."""
    made_for_minutes: int | None = None
    """MISS-4: of a credit that was made good: it pays for a session of this length whatever the plan is by then, also after
    coverage has ended, until `expires_at`; beside what `length_minutes` says."""


class CreditForfeited(LedgerFact, frozen=True, kw_only=True):
    """A held credit is lost (CANC-1, NOSH-1)."""

    session_id: str
    hold_id: str
    cause: SettleCause


class CreditSpent(LedgerFact, frozen=True, kw_only=True):
    """A held credit was used (JOIN-2)."""

    session_id: str
    hold_id: str


class CreditAdjusted(LedgerFact, frozen=True, kw_only=True):
    """Support changed the balance (CRED-5); why stands in the ledger, not here.

    Made by `system`: what lapsed is back, since its plan goes on (PLAN-1); or a session's credit changed its lot, told as one
    that leaves and one that arrives (MISS-4).
    """

    session_id: str | None = None
    made_by: str
    source: LotSource = "adjustment"
    length_minutes: int | None = None
    expires_at: datetime | None = None
    made_for_minutes: int | None = None
    """As `CreditReturned` has it."""


class CreditCorrected(LedgerFact, frozen=True, kw_only=True):
    """A corrected outcome changed what became of a session's credit (MISS-5). `state` is what it is from now on."""

    session_id: str
    hold_id: str
    state: Literal["spent", "returned", "forfeited"]
    source: LotSource
    expires_at: datetime | None
    length_minutes: int | None = None
    made_for_minutes: int | None = None
    """As `CreditReturned` has it."""


class LotExpiryChanged(Event, frozen=True, kw_only=True):
    """A lot lapses at another moment than was told before, since its plan's coverage ends at another one (PLAN-1)."""

    topic: ClassVar[Topic] = LEDGER

    member_id: str
    lot_id: str
    expires_at: datetime | None


class InvoiceFact(Event, frozen=True, kw_only=True):
    """What every event of an invoice says."""

    topic: ClassVar[Topic] = LEDGER

    invoice_id: str
    member_id: str
    session_id: str | None = None
    amount_minor: int
    currency: str


class InvoiceIssued(InvoiceFact, frozen=True, kw_only=True):
    """A charge is due. `about`: what it is for (PLAN-1, EXT-1)."""

    due_on: date
    about: Literal["co_pay", "extension"] = "co_pay"


class InvoicePaid(InvoiceFact, frozen=True, kw_only=True):
    """The charge is paid (CRED-7)."""

    paid_at: datetime


class InvoiceOverdue(InvoiceFact, frozen=True, kw_only=True):
    """The charge was not paid in time; until it is, nothing can be booked (CRED-7, BOOK-7)."""

    due_on: date


class InvoiceVoided(InvoiceFact, frozen=True, kw_only=True):
    """A charge is void: nothing is owed (MISS-3)."""

    cause: SettleCause
    was_due: bool = False
    """It was issued before, and may have been overdue or paid; else it was pending until now."""
    refunds: bool = False
    """It was paid: the money goes back."""


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """Money that came is not accepted and goes back: for credits that the plan does not sell any more, or for a charge that is
    not owed (CRED-6, CRED-7). What was accepted and goes back later is told by `InvoiceVoided`."""

    topic: ClassVar[Topic] = LEDGER

    member_id: str
    purchase_id: str | None = None
    invoice_id: str | None = None
    """One of the two: what it was paid for."""
    amount_minor: int
    currency: str
