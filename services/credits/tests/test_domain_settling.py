"""CRED-3: what becomes of a hold; MISS-2: where a credit comes back; MISS-5: by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from makegood_contracts.events import SettleCause
from makegood_credits.domain.book import Book, LedgerEntry
from makegood_credits.domain.endings import Ending, Settlement
from makegood_credits.domain.invoices import Invoice, fall_overdue
from makegood_credits.domain.settling import MAKE_GOOD, return_by_hand, settle
from makegood_plans.plans import Money

from .credit_building import NOW, covered, held, request, story


@pytest.mark.rule("CRED-1", "CRED-3")
@pytest.mark.parametrize(
    ("outcome", "cause", "kind", "available"),
    [
        pytest.param("spent", "completed", "spend", 5, marks=pytest.mark.rule("JOIN-2")),
        pytest.param("forfeited", "cancelled", "forfeit", 5, marks=pytest.mark.rule("CANC-1")),
        pytest.param("forfeited", "member_no_show", "forfeit", 5, marks=pytest.mark.rule("NOSH-1")),
        pytest.param("returned", "cancelled", "return", 6, marks=pytest.mark.rule("CANC-1", "CANC-2")),
        pytest.param("returned", "declined", "return", 6, marks=pytest.mark.rule("CONF-1")),
        pytest.param("returned", "expired", "return", 6, marks=pytest.mark.rule("CONF-2")),
        pytest.param("returned", "rejected", "return", 6, marks=pytest.mark.rule("BOOK-1")),
        pytest.param("returned", "lapsed", "return", 6, marks=pytest.mark.rule("AVAIL-4")),
        pytest.param("returned", "provider_missed", "return", 6, marks=pytest.mark.rule("MISS-2")),
    ],
)
def test_each_ending_settles_the_hold_once(outcome: Settlement, cause: SettleCause, kind: str, available: int) -> None:
    book = covered("eap-6")
    hold = held(book, request(length=45))
    entry = settle(book, hold, Ending(outcome, cause, NOW), NOW)
    assert isinstance(entry, LedgerEntry)
    assert (entry.kind, hold.state, book.available, book.held) == (kind, outcome, available, 0)
    assert entry.lot_id == hold.lot_id, "back to the lot it came from"
    others: tuple[Settlement, ...] = ("spent", "returned", "forfeited")
    for other in others:
        assert settle(book, hold, Ending(other, "support", NOW), NOW) is None
    assert len(book.entries) == 3


@pytest.mark.rule("MISS-2")
@pytest.mark.parametrize(
    ("left", "comes_back_to"),
    [
        (timedelta(days=-3), "make_good"),
        (timedelta(0), "make_good"),
        (timedelta(days=30), "make_good"),
        (timedelta(days=30, microseconds=1), "plan"),
        (None, "plan"),
    ],
)
def test_a_missed_session_gives_its_credit_back_for_thirty_days_at_least(
    left: timedelta | None, comes_back_to: str
) -> None:
    book = covered("eap-6")
    hold = held(book, request(length=45))
    lot = book.lots[hold.lot_id or ""]
    lot.expires_at = None if left is None else NOW + left
    entry = settle(book, hold, Ending("returned", "provider_missed", NOW), NOW + timedelta(seconds=5))
    assert isinstance(entry, LedgerEntry)
    target = book.lots[entry.lot_id]
    assert target.source == comes_back_to
    assert entry.debit_lot == lot.id
    if comes_back_to == "make_good":
        assert (target.granted, target.available, target.expires_at) == (1, 1, NOW + MAKE_GOOD)
        assert (target.made_for_minutes, target.made_under) == (45, "eap-6")
        assert target.length_minutes == lot.length_minutes
        assert (lot.available, lot.held) == (5, 0)
        assert book.next_due is not None
        assert book.next_due <= NOW + MAKE_GOOD
    else:
        assert (lot.available, lot.held, lot.granted) == (6, 0, 6)


@pytest.mark.rule("CRED-2")
def test_a_return_that_the_member_caused_goes_back_to_its_lot_and_lapses_with_it() -> None:
    book = covered()
    hold = held(book)
    after = datetime(2026, 12, 2, tzinfo=UTC)
    book.lots[hold.lot_id or ""].available, book.available = 0, 0
    settle(book, hold, Ending("returned", "cancelled", after, caused_by="member"), after)
    assert story(book)[-2:] == [("return", 1), ("expire", 1)]


@pytest.mark.rule("MISS-3", "NOSH-1", "JOIN-2", "CANC-1")
@pytest.mark.parametrize(
    ("outcome", "cause", "status"),
    [
        ("returned", "provider_missed", "void"),
        ("returned", "cancelled", "void"),
        ("returned", "lapsed", "void"),
        ("spent", "completed", "issued"),
        ("forfeited", "member_no_show", "issued"),
        ("forfeited", "cancelled", "issued"),
    ],
)
def test_a_pending_co_pay_is_void_or_due(outcome: Settlement, cause: SettleCause, status: str) -> None:
    book = covered("insurance-copay")
    hold = held(book, request(length=45))
    assert hold.invoice is not None
    assert settle(book, hold, Ending(outcome, cause, NOW), NOW) is hold.invoice
    assert (hold.invoice.status, hold.state, book.entries) == (status, outcome, [])
    assert settle(book, hold, Ending("returned", "support", NOW), NOW) is None
    assert hold.invoice.status == status


@pytest.mark.rule("MISS-5", "CRED-5")
@pytest.mark.parametrize(("outcome", "account"), [("forfeited", "platform:forfeited"), ("spent", "platform:spent")])
def test_support_gives_a_settled_credit_back_once(outcome: Settlement, account: str) -> None:
    book = covered("eap-6", ends_on=date(2027, 6, 30))
    hold = held(book, request(length=45))
    settle(book, hold, Ending(outcome, "cancelled", NOW), NOW)
    entry = return_by_hand(book, hold, reason="Our fault", made_by="support-7", now=NOW)
    assert isinstance(entry, LedgerEntry)
    assert (entry.kind, entry.debit_account, entry.reason, entry.made_by) == (
        "return",
        account,
        "Our fault",
        "support-7",
    )
    assert (book.available, book.held, hold.state, entry.lot_id) == (6, 0, "returned", hold.lot_id)
    assert book.lots[entry.lot_id].granted == 6
    again = return_by_hand(book, hold, reason="Again", made_by="support-7", now=NOW)
    assert again == "credit-already-returned"
    assert book.available == 6


@pytest.mark.rule("MISS-5")
def test_support_cannot_return_what_came_back_what_is_held_or_a_co_pay() -> None:
    book = covered()
    hold = held(book)
    assert return_by_hand(book, hold, reason="r", made_by="s", now=NOW) == "still-held"
    settle(book, hold, Ending("returned", "provider_missed", NOW), NOW)
    assert return_by_hand(book, hold, reason="r", made_by="s", now=NOW) == "credit-already-returned"
    charged = covered("insurance-copay")
    co_pay = held(charged, request(length=45))
    settle(charged, co_pay, Ending("spent", "completed", NOW), NOW)
    assert return_by_hand(charged, co_pay, reason="r", made_by="s", now=NOW) == "nothing-taken"
    assert co_pay.state == "spent"


@pytest.mark.rule("CRED-7")
def test_a_charge_falls_overdue_at_the_end_of_its_day_and_never_by_a_deadline_that_comes_too_soon() -> None:
    book, end = Book("member-1"), datetime(2026, 12, 1, tzinfo=UTC)
    charge = Invoice("i", "member-1", "s", "issued", Money(900, "USD"), date(2026, 11, 30), end)
    assert not fall_overdue(book, charge, end - timedelta(seconds=1))
    assert (charge.status, book.overdue) == ("issued", 0)
    assert fall_overdue(book, charge, end)
    assert (charge.status, book.overdue) == ("overdue", 1)
    assert not fall_overdue(book, charge, end), "once"
