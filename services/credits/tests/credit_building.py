"""Members, requests and moments for the tests of rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from makegood_contracts.ids import new_id
from makegood_credits.domain.book import ADJUSTED, EXPIRED, PURCHASED, Account, Book, Lot, Note
from makegood_credits.domain.enrolling import EnrolmentRequest, Lapse, enrol
from makegood_credits.domain.holding import Hold, HoldRefusal, HoldRequest, hold

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


NOTE = Note(NOW, "somebody", "For a reason")


def arrive(book: Book, lot: Lot, amount: int = 1, kind: Literal["adjust", "purchase"] = "adjust") -> None:
    """Puts credits into a lot."""
    source = PURCHASED if kind == "purchase" else ADJUSTED
    book.transfer(kind, source, Account.available(lot), NOTE, amount)


def covered(
    plan_id: str = "out-of-pocket-4",
    starts_on: date = date(2026, 11, 1),
    ends_on: date | None = None,
    time_zone: str = "UTC",
    *,
    now: datetime = NOW,
) -> Book:
    """A member who was enrolled just now."""
    book = Book("member-1")
    enrol(book, EnrolmentRequest(plan_id, starts_on, ends_on, time_zone), now)
    return book


def request(starts_at: datetime = NOW + timedelta(days=3), length: int = 30, **other: Any) -> HoldRequest:
    """A booking by the member."""
    values: dict[str, Any] = {
        "session_id": new_id(),
        "provider_id": "provider-1",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=length),
        "length_minutes": length,
        "modality": "video",
        "booked_by": "member",
        "hold_until": NOW + timedelta(days=400),
        **other,
    }
    return HoldRequest(**values)


def held(book: Book, asked: HoldRequest | None = None, now: datetime = NOW) -> Hold:
    outcome = hold(book, asked or request(), now)
    assert isinstance(outcome, Hold), outcome
    return outcome


def refused(book: Book, asked: HoldRequest, now: datetime = NOW) -> list[str]:
    """The codes of the refusal."""
    outcome = hold(book, asked, now)
    assert isinstance(outcome, HoldRefusal), outcome
    return [reason.code for reason in outcome.reasons]


def story(book: Book) -> list[tuple[str, int]]:
    """The entries as (kind, amount)."""
    return [(entry.kind, entry.amount) for entry in book.entries]


def lapses(book: Book) -> list[Lapse]:
    """What the ledger tells of credits that lapsed, and came back."""
    return [
        Lapse(entry.lot_id, entry.amount if entry.kind == "expire" else -entry.amount, entry.made_at)
        for entry in book.entries
        if EXPIRED.name in (entry.debit_account, entry.credit_account)
    ]
