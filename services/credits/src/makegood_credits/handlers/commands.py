"""What people change: enrolments, and credits that come back by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from makegood_chassis.database import UnitOfWork
from makegood_contracts.events import EnrolmentEnded, MemberEnrolled

from makegood_credits.domain.book import Book, LedgerEntry
from makegood_credits.domain.coverage import Enrolment, day_before
from makegood_credits.domain.enrolling import EnrolmentRequest, EnrolmentResult, enrol
from makegood_credits.domain.settling import ReturnRefusal, return_by_hand
from makegood_credits.handlers.due import set_due
from makegood_credits.handlers.facts import price, publish_entries, publish_expiries
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import reads
from makegood_credits.store.personal_data import BY_HAND, keep_reason


async def enrol_member(unit: UnitOfWork, book: Book, coverage: EnrolmentRequest) -> EnrolmentResult:
    """PLAN-1: covers the member as asked; see `enrol`. The book must be whole."""
    await book_store.add_lots_of_plans(unit, book)
    due_before = book.next_due
    told = {lot.id: lot.expires_at for lot in book.lots.values()}
    # Today in any zone began less than two days ago.
    lapses = await reads.lapses_since(unit, book.member_id, unit.now - timedelta(days=2))
    enrolled = enrol(book, coverage, unit.now, lapses)
    if enrolled.changed:
        publish_ended(unit, book, enrolled.ended, day_before(enrolled.enrolment.starts_on))
        book.enrolment_sequence += 1
        unit.publish(_enrolled(enrolled.enrolment), sequence=book.enrolment_sequence)
        publish_expiries(unit, book, told)
        await save_book(unit, book, due_before)
    return enrolled


def publish_ended(unit: UnitOfWork, book: Book, enrolments: Iterable[Enrolment], last_day: date) -> None:
    """Publishes that these enrolments count until that day, if they began by then."""
    for ended in enrolments:
        book.enrolment_sequence += 1
        unit.publish(
            EnrolmentEnded(enrolment_id=ended.id, member_id=ended.member_id, plan_id=ended.plan_id, ended_on=last_day),
            sequence=book.enrolment_sequence,
        )


async def return_to_member(
    unit: UnitOfWork, book: Book, session_id: str, *, reason: str, made_by: str
) -> list[LedgerEntry] | ReturnRefusal | None:
    """MISS-5: gives back a session's credit once; None where the member had no credit held for such a session."""
    hold = (await hold_store.by_session(unit, [session_id], {book.member_id: book})).get(session_id)
    if hold is None or hold.member_id != book.member_id or hold.state in ("refused", "ended"):
        return None
    due_before, before = book.next_due, hold.state
    came_back = await reads.came_back_to(unit, book.member_id, hold.id) is not None
    outcome = return_by_hand(book, hold, reason=BY_HAND, made_by=made_by, now=unit.now, came_back=came_back)
    if isinstance(outcome, str):
        return outcome
    await save_book(unit, book, due_before)
    await hold_store.settle(unit, [hold], [before])
    await hold_store.mark_by_hand(unit, hold)
    return await with_reason(unit, book, [outcome], reason)


async def with_reason(unit: UnitOfWork, book: Book, entries: list[LedgerEntry], reason: str) -> list[LedgerEntry]:
    """Keeps what was written with the entries; answers them as their reader sees them."""
    await keep_reason(unit, "entry", book.member_id, [entry.id for entry in entries], reason)
    return [entry._replace(reason=reason) for entry in entries]


async def save_book(unit: UnitOfWork, book: Book, due_before: datetime | None) -> None:
    """Publishes what was entered, and writes the book and when it is due next."""
    publish_entries(unit, book, book.entries, unit.cause)
    await book_store.save(unit, [book])
    set_due(unit, book.member_id, due_before, book.next_due)


def _enrolled(enrolment: Enrolment) -> MemberEnrolled:
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
