"""A member's book (CRED-1): lots, balances and ledger entries. Every credit moves through `Book.transfer`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from makegood_contracts.events import LotSource, SettleCause
from makegood_contracts.ids import new_id

from makegood_credits.domain.coverage import Enrolment

if TYPE_CHECKING:
    from makegood_credits.domain.invoices import Invoice, InvoiceChange

EntryKind = Literal["grant", "purchase", "hold", "spend", "return", "forfeit", "expire", "adjust"]


class Overdrawn(Exception):
    """A transfer would make a balance negative."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A returned credit pays for a session of this length before `until`, whatever the plan is then (MISS-4).

    `plan_id` is the plan that it came from, `lot_id` the lot that it went back to.
    """

    minutes: int
    until: datetime
    plan_id: str
    lot_id: str
    session_id: str
    hold_id: str


@dataclass(slots=True)
class Lot:
    """Credits that were granted together and lapse together. `length_minutes` is None if they fit every length of the
    plan.

    `made_for_minutes`, `made_under`: for a credit that was made good, the session length that it pays for whatever the plan
    is by then (MISS-4), and the plan that it came from.
    """

    id: str
    member_id: str
    source: LotSource
    length_minutes: int | None
    expires_at: datetime | None
    enrolment_id: str | None = None
    period: int | None = None
    granted: int = 0
    available: int = 0
    held: int = 0
    made_for_minutes: int | None = None
    made_under: str | None = None
    guarantees: tuple[Guarantee, ...] = ()
    """Guarantees for single available credits that stay in this lot, as long as it keeps them valid (MISS-4)."""
    stored: bool = False
    """Whether the database already has it."""


class Account(NamedTuple):
    """One side of a transfer. `lot` is the lot that the entry names on this side; member accounts always have one."""

    name: str
    lot: Lot | None = None

    @classmethod
    def available(cls, lot: Lot) -> Account:
        """The lot's credits that a booking can use."""
        return cls(AVAILABLE, lot)

    @classmethod
    def held(cls, lot: Lot) -> Account:
        """The lot's credits that are set aside for sessions."""
        return cls(HELD, lot)


AVAILABLE: Final = "member:available"
HELD: Final = "member:held"
GRANTED: Final = Account("platform:granted")
PURCHASED: Final = Account("platform:purchased")
SPENT: Final = Account("platform:spent")
FORFEITED: Final = Account("platform:forfeited")
EXPIRED: Final = Account("platform:expired")
ADJUSTED: Final = Account("platform:adjusted")


class Note(NamedTuple):
    """What an entry says about itself. `cause` is why the session's credit was settled, as in events."""

    made_at: datetime
    made_by: str
    reason: str
    session_id: str | None = None
    hold_id: str | None = None
    cause: SettleCause = "support"


class LedgerEntry(NamedTuple):
    """One movement: `amount` credits leave the debit account and arrive in the credit account. Entries never change."""

    id: str
    member_id: str
    number: int
    kind: EntryKind
    amount: int
    debit_account: str
    debit_lot: str | None
    credit_account: str
    credit_lot: str | None
    session_id: str | None
    hold_id: str | None
    reason: str
    made_by: str
    made_at: datetime
    available_after: int
    held_after: int
    cause: SettleCause = "support"

    @property
    def lot_id(self) -> str:
        """Where the credit is now, or was before it left."""
        return self.credit_lot or self.debit_lot or ""


@dataclass(slots=True)
class Book:
    """A member's account with its loaded lots and enrolments, and the changes that are not saved yet.

    `next_due` is at or before the moment at which credits next arrive or lapse.
    """

    member_id: str
    available: int = 0
    held: int = 0
    entry_count: int = 0
    ledger_sequence: int = 0
    enrolment_sequence: int = 0
    next_due: datetime | None = None
    overdue: int = 0
    """The number of overdue invoices. While there are any, nothing can be booked (BOOK-7)."""
    lots: dict[str, Lot] = field(default_factory=dict)
    enrolments: list[Enrolment] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    """Entries made since the book was loaded."""
    unpublished: list[LedgerEntry | InvoiceChange] = field(default_factory=list)
    """What has not been published yet, in order. Holds are not included: `CreditHeld` publishes them."""
    former_expiries: dict[str, datetime | None] = field(default_factory=dict)
    """The earlier expiry of each lot whose expiry changed."""
    changed_lots: dict[str, Lot] = field(default_factory=dict)
    changed_enrolments: dict[str, Enrolment] = field(default_factory=dict)
    changed_invoices: dict[str, Invoice] = field(default_factory=dict)
    loaded: tuple[object, ...] | None = None
    """`counts` when the book was loaded. None for a member without an account."""

    @property
    def counts(self) -> tuple[object, ...]:
        """The values that the account's row stores."""
        return (
            self.available,
            self.held,
            self.entry_count,
            self.ledger_sequence,
            self.enrolment_sequence,
            self.next_due,
            self.overdue,
        )

    def transfer(
        self, kind: EntryKind, source: Account, destination: Account, note: Note, amount: int = 1
    ) -> LedgerEntry:
        """CRED-1: moves credits from one account to another and adds the ledger entry. Raises Overdrawn and changes
        nothing if the balance is too low.

        Only the balances of the member's accounts change. A platform account may name a lot without changing it.
        """
        lot = source.lot
        if amount <= 0 or (lot is not None and amount > (lot.available if source.name == AVAILABLE else lot.held)):
            raise Overdrawn(f"{kind} of {amount} from {source.name}")
        self._move(source, -amount)
        self._move(destination, amount)
        self.entry_count += 1
        entry = LedgerEntry(
            new_id(),
            self.member_id,
            self.entry_count,
            kind,
            amount,
            source.name,
            source.lot.id if source.lot else None,
            destination.name,
            destination.lot.id if destination.lot else None,
            note.session_id,
            note.hold_id,
            note.reason,
            note.made_by,
            note.made_at,
            self.available,
            self.held,
            note.cause,
        )
        self.entries.append(entry)
        if kind != "hold":
            self.unpublished.append(entry)
        return entry

    def _move(self, account: Account, amount: int) -> None:
        lot = account.lot
        if lot is None:
            return
        if account.name == HELD:
            lot.held += amount
            self.held += amount
        elif account.name == AVAILABLE:
            lot.available += amount
            self.available += amount
            if amount > 0:
                lot.granted = lot.granted or amount
                self.due_by(lot.expires_at)
            elif len(lot.guarantees) > lot.available:
                lasting = sorted(lot.guarantees, key=lambda each: each.until)
                lot.guarantees = tuple(lasting[len(lasting) - lot.available :])
        else:
            return
        self.changed_lots[lot.id] = lot

    def open_lot(
        self,
        source: LotSource,
        length_minutes: int | None,
        expires_at: datetime | None,
        *,
        enrolment_id: str | None = None,
        period: int | None = None,
        made_for_minutes: int | None = None,
        made_under: str | None = None,
    ) -> Lot:
        """A new, empty lot of this member."""
        lot = Lot(new_id(), self.member_id, source, length_minutes, expires_at, enrolment_id, period)
        lot.made_for_minutes, lot.made_under = made_for_minutes, made_under
        self.lots[lot.id] = lot
        return lot

    def expire_at(self, lot: Lot, moment: datetime | None) -> None:
        """Changes when the lot lapses."""
        if moment != lot.expires_at:
            self.former_expiries.setdefault(lot.id, lot.expires_at)
            lot.expires_at = moment
        self.changed_lots[lot.id] = lot

    def due_by(self, moment: datetime | None) -> None:
        """Makes sure that the book is next processed by that moment."""
        if moment is not None and (self.next_due is None or moment < self.next_due):
            self.next_due = moment

    def put(self, enrolment: Enrolment) -> None:
        """Adds the enrolment or replaces its earlier state."""
        self.enrolments = [each for each in self.enrolments if each.id != enrolment.id] + [enrolment]
        self.changed_enrolments[enrolment.id] = enrolment
