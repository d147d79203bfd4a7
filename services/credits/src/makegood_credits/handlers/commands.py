"""What the API asks for. Each command locks, applies the rule, saves, and publishes what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from makegood_chassis.database import UnitOfWork
from makegood_chassis.refusals import FieldRefused, NotFound, RuleRefused
from makegood_contracts.events import EnrolmentEnded, MemberEnrolled
from makegood_contracts.ids import is_id, new_id

from makegood_credits.domain.adjusting import DAY, adjust, needs_second_person
from makegood_credits.domain.balance import Balance, balance_of
from makegood_credits.domain.book import Book, LedgerEntry
from makegood_credits.domain.coverage import Enrolment, day_before
from makegood_credits.domain.enrolling import EnrolmentRequest, EnrolmentResult, enrol
from makegood_credits.domain.invoices import OPEN, Invoice, void_for_good
from makegood_credits.domain.proposing import Decision, Proposal, decide
from makegood_credits.domain.purchasing import Purchase, PurchaseRefusal, purchase
from makegood_credits.domain.settling import return_by_hand
from makegood_credits.handlers.ledger import ledger
from makegood_credits.handlers.publishing import price
from makegood_credits.payments.port import PaymentProvider
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import payments as payment_store
from makegood_credits.store import policies, reads
from makegood_credits.store import proposals as proposal_store
from makegood_credits.store.personal_data import BY_HAND, keep_reason

_NOTHING_TAKEN: Final = "No credit of this member was taken for such a session."
_STILL_HELD: Final = "The session's credit is still held. It is settled when the session ends."
_NOT_PAYABLE: Final = {
    "pending": "The invoice is not due yet. It becomes due once the session has taken place.",
    "paid": "The invoice is already paid.",
    "void": "The invoice is void: nothing is owed.",
}


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The entries of an adjustment, with the reason as its author wrote it, and the balance after it."""

    entries: Sequence[LedgerEntry]
    balance: Balance


async def enrol_member(
    unit: UnitOfWork, member: str, request: EnrolmentRequest, admit: Callable[[int], None] = lambda _: None
) -> tuple[EnrolmentResult, int]:
    """Enrols the member; see `enrol` (PLAN-1). Also returns the new version of their enrolments.

    `admit` gets the previous version, and raises if the caller expected another one.
    """
    async with ledger(unit, [member], book_store.open_whole) as books:
        book = books[member]
        admit(book.enrolment_sequence)
        await book_store.add_lots_of_plans(unit, book)
        # In every time zone, today began less than two days ago.
        lapses = await reads.lapses_since(unit, member, unit.now - timedelta(days=2))
        enrolled = enrol(book, request, unit.now, lapses)
        if enrolled.changed:
            publish_ended(unit, book, enrolled.ended, day_before(enrolled.enrolment.starts_on))
            book.enrolment_sequence += 1
            unit.publish(enrolled_event(enrolled.enrolment), sequence=book.enrolment_sequence)
    return enrolled, book.enrolment_sequence


def publish_ended(unit: UnitOfWork, book: Book, enrolments: Iterable[Enrolment], last_day: date) -> None:
    """Publishes the new end of these enrolments, if they began before it."""
    for ended in enrolments:
        book.enrolment_sequence += 1
        unit.publish(
            EnrolmentEnded(enrolment_id=ended.id, member_id=ended.member_id, plan_id=ended.plan_id, ended_on=last_day),
            sequence=book.enrolment_sequence,
        )


def enrolled_event(enrolment: Enrolment) -> MemberEnrolled:
    """The event of an enrolment."""
    plan = enrolment.plan
    return MemberEnrolled(
        enrolment_id=enrolment.id,
        member_id=enrolment.member_id,
        plan_id=plan.id,
        plan_kind=plan.kind,
        starts_on=enrolment.starts_on,
        ends_on=enrolment.ends_on,
        time_zone=enrolment.time_zone,
        lengths=list(plan.lengths),
        psychiatry_lengths=list(plan.psychiatry_lengths),
        modalities=list(plan.modalities),
        live_credits=plan.live_credits,
        purchasable=plan.purchasable,
        period_months=plan.months,
        reminder_channels=plan.reminder_channels,
        co_pay=price(plan.co_pay) if plan.co_pay else None,
    )


async def adjust_or_propose(
    unit: UnitOfWork, member: str, amount: int, *, length_minutes: int | None, reason: str, made_by: str
) -> Adjustment | Proposal:
    """Gives or takes credits (CRED-5). An amount that needs a second person becomes a proposal instead."""
    async with ledger(unit, [member], book_store.open_whole) as books:
        given = await proposal_store.given_since(unit, member, made_by, unit.now - DAY) if amount > 0 else 0
        if needs_second_person(amount, given, await policies.adjustment_limit(unit)):
            proposal = Proposal(new_id(), member, amount, length_minutes, reason, made_by, unit.now)
            await proposal_store.insert_new(unit, proposal)
            return proposal
        book = books[member]
        return await _adjust(unit, book, amount, length_minutes=length_minutes, reason=reason, made_by=made_by)


async def decide_proposal(
    unit: UnitOfWork, member: str, proposal_id: str, decision: Decision, by: str, admit: Callable[[Proposal], None]
) -> Proposal:
    """Approves or rejects; an approval gives or takes the credits in the same transaction (CRED-5).

    The ledger's entries name the proposer; the proposal names the approver. `admit` gets the locked proposal.
    """
    async with ledger(unit, [member], book_store.open_whole) as books:
        before = await proposal_store.one(unit, member, proposal_id, lock=True)
        if before is None:
            raise NotFound("proposal")
        admit(before)
        decided = decide(before, decision, by, unit.now)
        if isinstance(decided, str):
            raise RuleRefused(decided)
        if decided is before:
            return before
        if decision == "approved":
            await _adjust(
                unit,
                books[member],
                before.amount,
                length_minutes=before.length_minutes,
                reason=before.reason,
                made_by=before.proposed_by,
            )
        await proposal_store.decide(unit, decided)
        return decided


async def _adjust(
    unit: UnitOfWork, book: Book, amount: int, *, length_minutes: int | None, reason: str, made_by: str
) -> Adjustment:
    entries = adjust(book, amount, length_minutes=length_minutes, reason=BY_HAND, made_by=made_by, now=unit.now)
    if isinstance(entries, str):
        raise RuleRefused(entries, "The member has fewer credits than the adjustment takes away.")
    return await _with_reason(unit, book, entries, reason)


async def return_to_member(unit: UnitOfWork, member: str, session_id: str, *, reason: str, made_by: str) -> Adjustment:
    """Returns a session's credit, once (MISS-5)."""
    if not is_id(session_id):
        raise FieldRefused("session_id", _NOTHING_TAKEN)
    session_id = str(UUID(session_id))
    async with ledger(unit, [member], book_store.open_whole) as books:
        hold = (await hold_store.by_session(unit, [session_id], books)).get(session_id)
        if hold is None or hold.member_id != member or hold.state in ("refused", "ended"):
            raise FieldRefused("session_id", _NOTHING_TAKEN)
        book, before = books[member], hold.state
        came_back = await reads.came_back_to(unit, member, hold.id) is not None
        entry = return_by_hand(book, hold, reason=BY_HAND, made_by=made_by, now=unit.now, came_back=came_back)
        if entry == "credit-already-returned":
            raise RuleRefused(entry, "The credit for this session has already been returned.")
        if isinstance(entry, str):
            raise FieldRefused("session_id", _STILL_HELD if entry == "still-held" else _NOTHING_TAKEN)
        await hold_store.settle(unit, [hold], [before])
        await hold_store.mark_by_hand(unit, hold)
        return await _with_reason(unit, book, [entry], reason)


async def _with_reason(unit: UnitOfWork, book: Book, entries: list[LedgerEntry], reason: str) -> Adjustment:
    """Stores what support wrote, outside the ledger, which never changes."""
    await keep_reason(unit, "entry", book.member_id, [entry.id for entry in entries], reason)
    balance = balance_of(book.lots.values(), book.enrolments, unit.now)
    return Adjustment([entry._replace(reason=reason) for entry in entries], balance)


async def buy_credits(
    unit: UnitOfWork,
    member: str,
    purchase_id: str,
    quantity: int,
    length_minutes: int | None,
    provider: PaymentProvider,
) -> tuple[Purchase, str]:
    """Saves a purchase (CRED-6). Returns it with the id of its checkout, which is not open yet."""
    async with ledger(unit, [member], book_store.open_whole) as books:
        result = purchase(books[member], purchase_id, quantity, length_minutes, unit.now)
        if isinstance(result, PurchaseRefusal):
            raise RuleRefused(result.reason["code"], result.reason["detail"], reasons=[result.reason])
        return result, await payment_store.insert_purchase(unit, result, provider.name)


async def withdraw_purchase(unit: UnitOfWork, purchase_id: str) -> None:
    """Deletes a purchase if its checkout could not be opened (CRED-6)."""
    await payment_store.withdraw_purchase(unit, purchase_id)


async def pay_invoice(unit: UnitOfWork, member: str, invoice_id: str, provider: PaymentProvider) -> tuple[Invoice, str]:
    """The charge and the id of its checkout (CRED-7)."""
    async with ledger(unit, [member], book_store.lock):
        invoice = (await invoice_store.by_id(unit, [invoice_id])).get(invoice_id)
        if invoice is None or invoice.member_id != member:
            raise NotFound("invoice")
        if invoice.status not in OPEN:
            raise RuleRefused("invoice-not-payable", _NOT_PAYABLE[invoice.status])
        checkout = await payment_store.checkout_of_invoice(unit, member, invoice.id, invoice.amount, provider.name)
        return invoice, checkout


async def void_invoice(unit: UnitOfWork, member: str, invoice_id: str, *, reason: str, made_by: str) -> None:
    """Support voids a charge, with a reason (CRED-7). What was paid is refunded. If it is already void, it keeps its
    reason.
    """
    async with ledger(unit, [member], book_store.lock) as books:
        invoice = (await invoice_store.by_id(unit, [invoice_id])).get(invoice_id)
        if invoice is None or invoice.member_id != member:
            raise NotFound("invoice")
        if void_for_good(books[member], invoice, made_by):
            await invoice_store.keep_void(unit, invoice, reason)
