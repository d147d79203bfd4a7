"""CRED-1: a member's book: lots, balances, and the entries that move them. Every movement goes through `Book.post`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from makegood_contracts.events import LotSource
from makegood_contracts.ids import new_id

from makegood_credits.domain.coverage import Enrolment

EntryKind = Literal["grant", "purchase", "hold", "spend", "return", "forfeit", "expire", "adjust"]

AVAILABLE: Final = "member:available"
HELD: Final = "member:held"
LAPSED: Final = "platform:expired"
ADJUSTED: Final = "platform:adjusted"

MOVES: Final[dict[EntryKind, tuple[str, str]]] = {
    "grant": ("platform:granted", AVAILABLE),
    "purchase": ("platform:purchased", AVAILABLE),
    "hold": (AVAILABLE, HELD),
    "spend": (HELD, "platform:spent"),
    "return": (HELD, AVAILABLE),
    "forfeit": (HELD, "platform:forfeited"),
    "expire": (AVAILABLE, LAPSED),
    "adjust": (ADJUSTED, AVAILABLE),
}
"""Kind of entry → the account that is debited (the credit leaves it) and the one that is credited (it arrives there).
An adjustment that takes credits away goes the other way round; a credit that support returns comes out of what it was
settled as, and one that a corrected outcome takes back goes there again; one that lapsed when its plan was replaced comes back
if the plan goes on. A credit that changes its lot leaves the one by an adjustment and arrives in the other by another."""


class Overdrawn(Exception):
    """A movement would make a balance negative."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """MISS-4: that a credit which came back pays for a session of so many minutes before `until`, whatever the plan is then.

    `plan_id` is the plan that it came from, `lot_id` the lot that it came back to, after the session whose hold it was.
    """

    minutes: int
    until: datetime
    plan_id: str
    lot_id: str
    session_id: str
    hold_id: str


@dataclass(slots=True)
class Lot:
    """Credits that came together and lapse together. `length_minutes` None: for each length of the plan.

    `made_for_minutes`, `made_under`: of a credit that was made good, the session's length that it pays for whatever the plan is
    by then (MISS-4), and the plan that it came from.
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
    """MISS-4: of single credits among those that are available, for as long as the lot itself keeps them good."""
    stored: bool = False
    """Whether the database knows it already."""


class LedgerEntry(NamedTuple):
    """One movement: `amount` credits leave `debit_account` and arrive in `credit_account`. Never changed once entered."""

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

    @property
    def lot_id(self) -> str:
        """Where the credit lies now, or lay before it left."""
        return self.credit_lot or self.debit_lot or ""


@dataclass(slots=True)
class Book:
    """A member's account with what is loaded of its lots and enrolments, and what a change does to them.

    `next_due` is at or before the moment at which the next credits come or lapse.
    """

    member_id: str
    available: int = 0
    held: int = 0
    entry_count: int = 0
    ledger_sequence: int = 0
    enrolment_sequence: int = 0
    next_due: datetime | None = None
    overdue: int = 0
    """Invoices that are overdue: while there are any, nothing can be booked (BOOK-7)."""
    lots: dict[str, Lot] = field(default_factory=dict)
    enrolments: list[Enrolment] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    """Entered since the book was loaded."""
    changed_lots: dict[str, Lot] = field(default_factory=dict)
    changed_enrolments: dict[str, Enrolment] = field(default_factory=dict)
    loaded: tuple[object, ...] | None = None
    """`counts` as they were loaded; None for a member without an account."""

    @property
    def counts(self) -> tuple[object, ...]:
        """What the account's row keeps."""
        return (
            self.available,
            self.held,
            self.entry_count,
            self.ledger_sequence,
            self.enrolment_sequence,
            self.next_due,
            self.overdue,
        )

    def post(
        self,
        kind: EntryKind,
        amount: int,
        *,
        at: datetime,
        made_by: str,
        reason: str,
        debit: Lot | None = None,
        credit: Lot | None = None,
        session_id: str | None = None,
        hold_id: str | None = None,
        out_of: str | None = None,
        into: str | None = None,
    ) -> LedgerEntry:
        """CRED-1: enters one movement and moves the balances with it. Raises Overdrawn, changing nothing.

        `debit` and `credit` are the lots it leaves and arrives in, where the account on that side is the member's.
        `out_of` and `into` are the accounts that are debited and credited, where they are not the usual ones of the kind.
        """
        debit_account, credit_account = MOVES[kind]
        debit_account = out_of or debit_account
        if kind == "adjust" and credit is None:
            debit_account, credit_account = credit_account, debit_account
        credit_account = into or credit_account
        if amount <= 0 or (
            debit is not None and amount > (debit.available if debit_account == AVAILABLE else debit.held)
        ):
            raise Overdrawn(f"{kind} of {amount} from {debit_account}")
        if debit is not None:
            if debit_account == AVAILABLE:
                debit.available -= amount
                self.available -= amount
                if len(debit.guarantees) > debit.available:
                    lasting = sorted(debit.guarantees, key=lambda each: each.until)
                    debit.guarantees = tuple(lasting[len(lasting) - debit.available :])
            else:
                debit.held -= amount
                self.held -= amount
            self.changed_lots[debit.id] = debit
        if credit is not None:
            if credit_account == AVAILABLE:
                credit.available += amount
                self.available += amount
                if credit is not debit and (out_of is None or not credit.granted):
                    credit.granted += amount
                self.due_by(credit.expires_at)
            else:
                credit.held += amount
                self.held += amount
            self.changed_lots[credit.id] = credit
        return self._enter(
            kind,
            amount,
            (debit_account, debit.id if debit else None),
            (credit_account, credit.id if credit else None),
            session_id,
            hold_id,
            reason,
            made_by,
            at,
        )

    def rename(
        self,
        settled: str,
        becomes: str,
        *,
        lot_id: str,
        session_id: str,
        hold_id: str,
        at: datetime,
        made_by: str,
        reason: str,
    ) -> LedgerEntry:
        """MISS-5: enters that a credit that is gone anyway went another way (spent, not forfeited); no balance moves."""
        return self._enter("adjust", 1, (settled, None), (becomes, lot_id), session_id, hold_id, reason, made_by, at)

    def _enter(
        self,
        kind: EntryKind,
        amount: int,
        debit: tuple[str, str | None],
        credit: tuple[str, str | None],
        session_id: str | None,
        hold_id: str | None,
        reason: str,
        made_by: str,
        at: datetime,
    ) -> LedgerEntry:
        self.entry_count += 1
        entry = LedgerEntry(
            new_id(),
            self.member_id,
            self.entry_count,
            kind,
            amount,
            *debit,
            *credit,
            session_id,
            hold_id,
            reason,
            made_by,
            at,
            self.available,
            self.held,
        )
        self.entries.append(entry)
        return entry

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

    def due_by(self, moment: datetime | None) -> None:
        """Makes sure that the book is looked at by that moment."""
        if moment is not None and (self.next_due is None or moment < self.next_due):
            self.next_due = moment

    def put(self, enrolment: Enrolment) -> None:
        """Adds the enrolment, or puts it in the place of its earlier state."""
        self.enrolments = [each for each in self.enrolments if each.id != enrolment.id] + [enrolment]
        self.changed_enrolments[enrolment.id] = enrolment
