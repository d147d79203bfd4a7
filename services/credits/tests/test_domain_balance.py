"""CRED-6, CRED-4: `available` counts what something can be booked with; what is of no use says why; when the next credits come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts.events import Modality, Specialty
from makegood_credits.domain.balance import Balance, balance_of
from makegood_credits.domain.book import Book, Lot
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.holding import Hold, HoldRefusal, hold
from makegood_credits.domain.plans import PLANS
from makegood_plans.coverage import NextCredits

from .credit_building import NOW, arrive, covered, held, request

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SPECIALTIES: tuple[Specialty, ...] = get_args(Specialty)
MODALITIES: tuple[Modality, ...] = get_args(Modality)


def balance(book: Book, now: datetime = NOW) -> Balance:
    return balance_of(book.lots.values(), book.enrolments, now)


def why(book: Book, now: datetime = NOW) -> dict[str, str | None]:
    """Source of a lot → why nothing can be booked with it."""
    return {lot.source: None if reason is None else reason.code for lot, reason in balance(book, now).lots}


def given_to(book: Book, length: int | None = 30, expires_at: datetime | None = None) -> Lot:
    lot = book.open_lot("purchase", length, expires_at)
    arrive(book, lot, 7, "purchase")
    return lot


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    ("plan_id", "length", "code"),
    [
        ("out-of-pocket-4", 30, None),
        ("eap-6", 30, "length-not-in-plan"),
        ("eap-6", None, None),
        ("insurance-credits", 30, None),
        ("insurance-copay", 45, "plan-asks-co-pay"),
        ("messaging-only", 30, "plan-excludes-live-sessions"),
    ],
)
def test_credits_that_the_plan_does_not_take_are_not_available(
    plan_id: str, length: int | None, code: str | None
) -> None:
    book = covered(plan_id)
    of_the_plan = book.available
    given_to(book, length)
    found = balance(book)
    assert why(book)["purchase"] == code
    assert (found.available, found.unusable) == (of_the_plan + (0 if code else 7), 7 if code else 0)


@pytest.mark.rule("CRED-6")
def test_credits_without_coverage_ahead_are_not_available() -> None:
    book = covered(ends_on=date(2026, 11, 23))
    given_to(book)
    assert why(book) == {"plan": None, "purchase": None}
    tomorrow = datetime(2026, 11, 24, tzinfo=UTC)
    assert why(book, tomorrow) == {"plan": "lapsed", "purchase": "coverage-ended"}


@pytest.mark.rule("CRED-6")
def test_coverage_that_is_agreed_counts_unless_the_credits_lapse_before_it() -> None:
    for expires_at, code in ((None, None), (DECEMBER, "length-not-in-plan")):
        book = covered("eap-6")
        given_to(book, 30, expires_at)
        enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 12, 1), None, "UTC"), NOW)
        assert why(book)["purchase"] == code


@pytest.mark.rule("CRED-6", "BOOK-4")
@given(
    plans=st.lists(
        st.tuples(st.sampled_from(sorted(PLANS)), st.integers(-20, 40), st.none() | st.integers(0, 60)), max_size=3
    ),
    length=st.sampled_from([None, 30, 45, 60]),
    made_for=st.none() | st.sampled_from([30, 45, 60]),
    left=st.none() | st.integers(-5, 60),
)
def test_what_is_available_can_be_booked_with_and_nothing_else_can(
    plans: list[tuple[str, int, int | None]], length: int | None, made_for: int | None, left: int | None
) -> None:
    """A naive model: some session on some of the next ninety days takes a credit of the lot, or none does."""
    book = Book("member-1")
    for plan_id, start, lasts in plans:
        starts_on = NOW.date() + timedelta(days=start)
        ends_on = None if lasts is None else starts_on + timedelta(days=lasts)
        enrol(book, EnrolmentRequest(plan_id, starts_on, ends_on, "UTC"), NOW)
    book.lots = {}
    lot = given_to(book, length, None if left is None else NOW + timedelta(days=left, seconds=1))
    if made_for is not None:
        lot.made_for_minutes, lot.made_under = made_for, "eap-6"
    if left is not None and left < 0:
        assert why(book) == {"purchase": "lapsed"}
        return
    enrolments = list(book.enrolments)
    taken = False
    for day in range(100):
        for minutes in (30, 45, 60):
            for specialty in SPECIALTIES:
                book.enrolments, book.next_due = list(enrolments), None
                asked = request(NOW + timedelta(days=day, microseconds=1), minutes, specialty=specialty)
                outcome = hold(book, asked, NOW)
                if isinstance(outcome, Hold) and outcome.lot_id == lot.id:
                    taken = True
                    lot.held -= 1
                    lot.available += 1
    assert (balance(book).available == 7) is taken, why(book)


@pytest.mark.rule("CRED-2", "CRED-4")
def test_the_balance_says_when_the_next_credits_come_and_how_many() -> None:
    book = covered()
    assert balance(book).next_credits == NextCredits(DECEMBER, 4)
    catch_up(book, DECEMBER)
    assert balance(book, DECEMBER).next_credits == NextCredits(datetime(2027, 1, 1, tzinfo=UTC), 4)
    assert balance(covered("eap-6")).next_credits is None, "six in all"
    assert balance(covered("insurance-copay")).next_credits is None
    assert balance(covered(ends_on=date(2026, 11, 30))).next_credits is None
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 12, 24), None, "UTC"), DECEMBER)
    assert balance(book, DECEMBER).next_credits == NextCredits(datetime(2026, 12, 24, tzinfo=UTC), 12)


@pytest.mark.rule("CRED-2", "BOOK-4")
@pytest.mark.parametrize(
    ("starts_at", "available_from"),
    [
        (NOW + timedelta(days=2), DECEMBER),
        (DECEMBER - timedelta(seconds=1), DECEMBER),
        (DECEMBER, DECEMBER),
        (datetime(2027, 2, 10, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_refusal_for_want_of_credits_says_when_those_come_that_such_a_session_could_use(
    starts_at: datetime, available_from: datetime
) -> None:
    book = covered()
    if starts_at < DECEMBER:
        for day in range(4):
            held(book, request(NOW + timedelta(days=day, hours=1)))
    outcome = hold(book, request(starts_at), NOW)
    assert isinstance(outcome, HoldRefusal)
    (reason,) = outcome.reasons
    assert (reason.code, reason.available_from, reason.credits) == ("no-session-credits", available_from, 4)
    catch_up(book, available_from)
    assert isinstance(hold(book, request(max(starts_at, available_from)), available_from), Hold), "and then they do"


@pytest.mark.rule("BOOK-4")
def test_a_refusal_says_nothing_of_credits_that_never_come() -> None:
    book = covered("eap-6", ends_on=date(2027, 3, 1))
    for day in range(6):
        held(book, request(NOW + timedelta(days=day, hours=1), length=45))
    outcome = hold(book, request(NOW + timedelta(days=9), length=45), NOW)
    assert isinstance(outcome, HoldRefusal)
    assert [(each.code, each.available_from, each.credits) for each in outcome.reasons] == [
        ("no-session-credits", None, None)
    ]
