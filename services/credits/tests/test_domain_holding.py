"""BOOK-4, CRED-2: which credit a session takes, and every reason why it gets none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from makegood_credits.domain.book import Book
from makegood_credits.domain.enrolling import EnrolmentRequest, enrol
from makegood_credits.domain.holding import HoldRefusal, hold

from .credit_building import NOW, arrive, covered, held, refused, request, story


@pytest.mark.rule("BOOK-1", "CRED-1")
def test_a_session_sets_one_credit_aside() -> None:
    book = covered()
    taken = held(book)
    assert (book.available, book.held) == (3, 1)
    entry = book.entries[-1]
    assert (entry.kind, entry.amount, entry.hold_id, entry.made_by) == ("hold", 1, taken.id, "member-1")
    assert (entry.debit_account, entry.credit_account) == ("member:available", "member:held")
    assert (entry.available_after, entry.held_after) == (3, 1)


@pytest.mark.rule("BOOK-4")
@pytest.mark.parametrize(
    ("plan_id", "credits", "length", "purchasable"), [("out-of-pocket-4", 4, 30, True), ("eap-6", 6, 45, False)]
)
def test_with_no_credit_left_the_refusal_says_so_and_whether_one_can_be_bought(
    plan_id: str, credits: int, length: int, purchasable: bool
) -> None:
    book = covered(plan_id)
    for _ in range(credits):
        held(book, request(length=length))
    outcome = hold(book, request(length=length), NOW)
    assert isinstance(outcome, HoldRefusal)
    assert [reason.code for reason in outcome.reasons] == ["no-session-credits"]
    assert outcome.purchasable is purchasable
    assert (book.available, book.held) == (0, credits)


@pytest.mark.rule("BOOK-4", "PLAN-1")
@pytest.mark.parametrize(
    ("plan_id", "length", "modality", "codes"),
    [
        ("out-of-pocket-4", 45, "video", ["length-not-in-plan"]),
        ("out-of-pocket-4", 30, "in_person", ["modality-not-in-plan"]),
        ("out-of-pocket-4", 60, "in_person", ["length-not-in-plan", "modality-not-in-plan"]),
        ("insurance-credits", 45, "chat", ["modality-not-in-plan"]),
        ("insurance-copay", 30, "chat", ["length-not-in-plan", "modality-not-in-plan"]),
        ("sponsored-12", 30, "in_person", ["length-not-in-plan"]),
        ("messaging-only", 30, "video", ["plan-excludes-live-sessions"]),
    ],
)
def test_every_reason_of_the_plan_is_told_at_once(plan_id: str, length: int, modality: str, codes: list[str]) -> None:
    book = covered(plan_id)
    before = story(book)
    assert refused(book, request(length=length, modality=modality)) == codes
    assert story(book) == before


@pytest.mark.rule("BOOK-4")
def test_reasons_of_plan_and_balance_are_told_together() -> None:
    book = covered()
    for _ in range(4):
        held(book)
    assert refused(book, request(length=45, modality="in_person")) == [
        "length-not-in-plan",
        "modality-not-in-plan",
        "no-session-credits",
    ]


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(
    ("starts_at", "covers"),
    [
        (datetime(2026, 11, 30, 23, 59, tzinfo=UTC), True),
        (datetime(2026, 12, 1, 0, 0, tzinfo=UTC), False),
    ],
)
def test_coverage_reaches_to_the_end_of_its_last_day(starts_at: datetime, covers: bool) -> None:
    book = covered("eap-6", ends_on=date(2026, 11, 30))
    asked = request(starts_at, length=45)
    if covers:
        held(book, asked)
    else:
        assert refused(book, asked) == ["coverage-ended"]


@pytest.mark.rule("PLAN-1")
def test_a_member_who_was_never_enrolled_is_not_covered() -> None:
    outcome = hold(Book("nobody"), request(), NOW)
    assert isinstance(outcome, HoldRefusal)
    assert ([reason.code for reason in outcome.reasons], outcome.purchasable) == (["coverage-ended"], False)


@pytest.mark.rule("CRED-2")
def test_a_session_in_a_later_period_cannot_take_this_periods_credits() -> None:
    book = covered()
    held(book, request(datetime(2026, 11, 30, 23, 30, tzinfo=UTC)))
    assert refused(book, request(datetime(2026, 12, 1, tzinfo=UTC))) == ["no-session-credits"]


@pytest.mark.rule("CRED-2")
def test_the_lot_that_lapses_first_and_still_stands_at_the_session_is_taken() -> None:
    book = covered("eap-6")
    soon = book.open_lot("make_good", None, NOW + timedelta(days=2))
    later = book.open_lot("make_good", 45, NOW + timedelta(days=20))
    other_length = book.open_lot("purchase", 60, NOW + timedelta(days=4))
    for lot in (later, soon, other_length):
        arrive(book, lot)
    (endless,) = [lot for lot in book.lots.values() if lot.expires_at is None]
    assert held(book, request(NOW + timedelta(days=3), length=45)).lot_id == later.id
    assert held(book, request(NOW + timedelta(days=1), length=45)).lot_id == soon.id
    assert held(book, request(NOW + timedelta(days=1), length=45)).lot_id == endless.id


@pytest.mark.rule("CRED-2")
def test_of_the_lots_that_would_do_the_one_that_lapses_first_is_taken_whichever_came_first() -> None:
    for days in ((2, 20, 9), (20, 9, 2), (9, 2, 20)):
        book = covered("eap-6")
        lots = {day: book.open_lot("make_good", 45, NOW + timedelta(days=day)) for day in days}
        for lot in lots.values():
            arrive(book, lot)
        taken = [held(book, request(NOW + timedelta(days=1), length=45)).lot_id for _ in days]
        assert taken == [lots[day].id for day in sorted(days)]


@pytest.mark.rule("CRED-2", "PLAN-1")
def test_a_booking_in_the_moment_after_the_periods_end_finds_the_new_credits_though_no_deadline_ran() -> None:
    book = covered()
    for _ in range(4):
        held(book)
    now = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
    held(book, request(now + timedelta(days=5)), now)
    assert story(book)[-2:] == [("grant", 4), ("hold", 1)]


@pytest.mark.rule("PLAN-1", "MISS-3")
def test_a_co_pay_is_pending_from_booking_and_takes_no_credit() -> None:
    book = covered("insurance-copay", time_zone="America/New_York")
    ends_late = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
    taken = held(book, request(ends_late - timedelta(minutes=60), length=60))
    assert taken.invoice is not None
    assert (taken.lot_id, book.entries) == (None, [])
    assert (taken.invoice.status, taken.invoice.amount.amount_minor) == ("pending", 2500)
    assert taken.invoice.due_on == date(2026, 12, 10), "two weeks after the session's day where the member is"


@pytest.mark.rule("AVAIL-4")
def test_nothing_is_held_for_a_request_whose_hold_would_have_lapsed() -> None:
    assert refused(covered(), request(hold_until=NOW)) == ["temporary-interruption"]


@pytest.mark.rule("BOOK-5", "CRED-4")
@pytest.mark.parametrize(("by", "who"), [("member", "member-1"), ("provider", "provider-1"), ("support", "support")])
def test_the_entry_says_who_booked(by: str, who: str) -> None:
    book = covered()
    held(book, request(booked_by=by))
    assert book.entries[-1].made_by == who


@pytest.mark.rule("CRED-2")
def test_after_a_change_of_plan_the_new_plan_decides_from_its_first_day() -> None:
    book = covered()
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 11, 28), None, "UTC"), NOW)
    held(book, request(datetime(2026, 11, 27, 12, tzinfo=UTC), length=30))
    assert refused(book, request(datetime(2026, 11, 28, 12, tzinfo=UTC), length=30)) == [
        "length-not-in-plan",
        "no-session-credits",
    ]


@pytest.mark.rule("PLAN-1", "BOOK-7")
@pytest.mark.parametrize(
    ("plan_id", "specialty", "length", "codes"),
    [
        ("insurance-credits", "therapy", 45, []),
        ("insurance-credits", "therapy", 30, ["length-not-in-plan"]),
        ("insurance-credits", "psychiatry", 30, []),
        ("insurance-credits", "psychiatry", 45, ["length-not-in-plan"]),
        ("insurance-copay", "psychiatry", 60, []),
        ("out-of-pocket-4", "psychiatry", 30, []),
        ("eap-6", "psychiatry", 45, ["length-not-in-plan"]),
        ("messaging-only", "psychiatry", 30, ["plan-excludes-live-sessions"]),
    ],
)
def test_psychiatry_has_lengths_of_its_own(plan_id: str, specialty: str, length: int, codes: list[str]) -> None:
    outcome = hold(covered(plan_id), request(length=length, specialty=specialty), NOW)
    assert [reason.code for reason in getattr(outcome, "reasons", ())] == codes


@pytest.mark.rule("BOOK-7", "CRED-7")
@pytest.mark.parametrize(
    ("plan_id", "codes"),
    [
        ("eap-6", ["outstanding-charges"]),
        ("insurance-copay", ["outstanding-charges"]),
        ("messaging-only", ["plan-excludes-live-sessions", "outstanding-charges"]),
    ],
)
def test_whoever_owes_something_overdue_books_nothing(plan_id: str, codes: list[str]) -> None:
    book = covered(plan_id)
    book.overdue = 1
    outcome = hold(book, request(length=45), NOW)
    assert isinstance(outcome, HoldRefusal)
    assert [reason.code for reason in outcome.reasons] == codes
    assert (book.available, book.held) == (covered(plan_id).available, 0)
