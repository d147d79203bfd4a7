"""MISS-2, MISS-4: how long a credit stands that comes back, and what one that was made good pays for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts.events import LotSource
from makegood_credits.domain.balance import unusable
from makegood_credits.domain.book import Account, Book, LedgerEntry, Lot, Note
from makegood_credits.domain.endings import CausedBy, Ending, ending_of
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.holding import Hold, HoldRefusal
from makegood_credits.domain.moving import MoveRequest, fund_move
from makegood_credits.domain.plans import PLANS
from makegood_credits.domain.settling import MAKE_GOOD, settle
from makegood_plans.coverage import covering
from makegood_plans.funding import made_good_for, paying_lot

from . import credits_harness as events
from .credit_building import NOW, arrive, covered, held, refused, request

THE_DAY = NOW + timedelta(days=3)
OTHERS: list[Any] = [
    pytest.param(events.declined, id="declined"),
    pytest.param(events.expired, id="expired"),
    pytest.param(events.missed, id="missed"),
    pytest.param(lambda asked: events.cancelled(asked, by="provider"), id="the provider cancels"),
    pytest.param(lambda asked: events.cancelled(asked, by="system", cause="lost_hold"), id="the platform cancels"),
    pytest.param(lambda asked: events.cancelled(asked, by="provider", cause="time_off"), id="time off"),
    pytest.param(lambda asked: events.cancelled(asked, cause="change_of_provider"), id="change of provider"),
    pytest.param(
        lambda asked: events.cancelled(asked, caused_by_provider=True),
        id="the member cancels, for the provider moved it",
    ),
]


def ended(book: Book, set_aside: Hold, ending: Ending, now: datetime) -> Lot:
    """The lot that the credit comes back to."""
    entry = settle(book, set_aside, ending, now)
    assert isinstance(entry, LedgerEntry)
    return book.lots[entry.lot_id]


def told(event: Any) -> Ending:
    return ending_of(event, NOW)


@pytest.mark.rule("MISS-2")
@pytest.mark.parametrize("ending", OTHERS)
def test_whatever_the_member_did_not_cause_gives_the_credit_back_for_thirty_days(ending: Any) -> None:
    book = covered()
    asked = events.requested(length=30)
    returned = told(ending(asked))
    lot = ended(book, held(book), returned, returned.ended_at)
    assert (returned.settlement, returned.caused_by) == ("returned", "others")
    assert (lot.source, lot.expires_at) == ("make_good", returned.ended_at + MAKE_GOOD)
    assert book.entries[-1].kind == "return", "and nothing lapses"


@pytest.mark.rule("MISS-2", "CANC-1")
def test_a_cancellation_of_the_members_own_leaves_the_credit_as_it_is() -> None:
    book = covered()
    returned = told(events.cancelled(events.requested(length=30)))
    assert returned.caused_by == "member"
    assert ended(book, held(book), returned, NOW).source == "plan"


@pytest.mark.rule("MISS-2", "BOOK-1")
@pytest.mark.parametrize("lapsed", [False, True])
def test_a_booking_that_was_refused_prolongs_no_credit_and_loses_none(lapsed: bool) -> None:
    book = covered()
    refusing = told(events.rejected(events.requested(length=30)))
    set_aside = held(book)
    if lapsed:
        enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 23), None, "UTC"), NOW)
    lot = ended(book, set_aside, refusing, NOW)
    assert lot.source == ("make_good" if lapsed else "plan")
    assert unusable(lot, book.enrolments, NOW) is None


@pytest.mark.rule("MISS-2")
def test_a_bought_credit_that_the_plan_takes_no_more_is_made_good() -> None:
    for plan_id, source in (("eap-6", "make_good"), ("out-of-pocket-4", "purchase")):
        book = covered()
        lot = book.open_lot("purchase", 30, NOW + timedelta(days=300))
        arrive(book, lot, 1, "purchase")
        book.lots = {lot.id: lot}
        set_aside = held(book)
        enrol(book, EnrolmentRequest(plan_id, date(2026, 11, 2), None, "UTC"), NOW)
        assert ended(book, set_aside, Ending("returned", "declined", NOW), NOW).source == source


def made_good(length: int = 45, plan_id: str = "insurance-credits") -> tuple[Book, Lot]:
    """A member with nothing but a credit that was made good three days from now."""
    book = covered(plan_id)
    lot = ended(book, held(book, request(length=length)), Ending("returned", "provider_missed", THE_DAY), THE_DAY)
    return book, lot


@pytest.mark.rule("MISS-4")
@pytest.mark.parametrize("plan_id", sorted(PLANS))
def test_a_credit_that_was_made_good_pays_its_length_on_every_plan(plan_id: str) -> None:
    book, lot = made_good(length=60)
    enrol(book, EnrolmentRequest(plan_id, THE_DAY.date(), None, "UTC"), THE_DAY)
    book.lots = {lot.id: lot}
    asked = request(THE_DAY + timedelta(days=2), length=60, modality="in_person")
    assert held(book, asked, THE_DAY).lot_id == lot.id
    late = request(THE_DAY + MAKE_GOOD, length=60)
    assert not made_good_for(lot, late), "for its thirty days"


@pytest.mark.rule("MISS-4")
def test_a_credit_that_was_made_good_pays_after_coverage_has_ended() -> None:
    book = covered("eap-6", ends_on=date(2026, 11, 26))
    lot = ended(book, held(book, request(length=45)), Ending("returned", "provider_missed", THE_DAY), THE_DAY)
    after = datetime(2026, 12, 10, 9, tzinfo=THE_DAY.tzinfo)
    catch_up(book, after)
    book.enrolments = []  # as a book is loaded once coverage is over
    rebooked = held(book, request(after + timedelta(days=1), length=45), after)
    assert (rebooked.lot_id, rebooked.plan_id) == (lot.id, "eap-6")
    assert refused(book, request(after + timedelta(days=1), length=45), after) == ["coverage-ended"], "one credit, once"


@pytest.mark.rule("MISS-4", "BOOK-7")
def test_who_owes_pays_first_and_another_length_is_another_matter() -> None:
    book, _ = made_good()
    enrol(book, EnrolmentRequest("out-of-pocket-4", THE_DAY.date(), None, "UTC"), THE_DAY)
    soon = THE_DAY + timedelta(days=2)
    assert refused(book, request(soon, length=60), THE_DAY) == ["length-not-in-plan"]
    book.overdue = 1
    assert refused(book, request(soon, length=45), THE_DAY) == ["outstanding-charges"]


@pytest.mark.rule("MISS-4")
def test_a_credit_that_was_made_good_still_pays_the_other_lengths_of_its_plan() -> None:
    book, lot = made_good(length=60)
    book.lots = {lot.id: lot}
    assert held(book, request(THE_DAY + timedelta(days=2), length=45), THE_DAY).lot_id == lot.id


@pytest.mark.rule("MISS-4")
def test_a_made_good_credit_pays_instead_of_a_co_pay() -> None:
    book, lot = made_good()
    enrol(book, EnrolmentRequest("insurance-copay", THE_DAY.date(), None, "UTC"), THE_DAY)
    first, second = (held(book, request(THE_DAY + timedelta(days=days), length=45), THE_DAY) for days in (2, 3))
    assert (first.lot_id, first.invoice) == (lot.id, None)
    assert second.lot_id is None
    assert second.invoice is not None


@pytest.mark.rule("MISS-4", "RESC-1")
def test_a_session_on_a_made_good_credit_can_be_moved_whatever_the_plan_is() -> None:
    book, _ = made_good(length=60)
    enrol(book, EnrolmentRequest("messaging-only", THE_DAY.date(), None, "UTC"), THE_DAY)
    rebooked = held(book, request(THE_DAY + timedelta(days=2), length=60), THE_DAY)
    later = MoveRequest(request(THE_DAY + timedelta(days=9), length=60), forfeits=False)
    assert fund_move(book, rebooked, later, THE_DAY) == "kept"
    too_late = fund_move(book, rebooked, MoveRequest(request(THE_DAY + MAKE_GOOD, length=60), False), THE_DAY)
    assert isinstance(too_late, HoldRefusal)


@pytest.mark.rule("MISS-2", "MISS-4", "CRED-2")
@given(
    caused_by=st.sampled_from(get_args(CausedBy)),
    left=st.none() | st.integers(-40, 80),
    source=st.sampled_from(get_args(LotSource)),
    length=st.sampled_from([None, 30, 45, 60]),
    then=st.sampled_from([None, *sorted(PLANS)]),
    delay=st.integers(0, 90),
)
def test_a_return_stands_as_long_as_its_rule_says(
    caused_by: CausedBy, left: int | None, source: LotSource, length: int | None, then: str | None, delay: int
) -> None:
    """`left`: days from the ending to the lot's end; `then`: the plan by then; `delay`: days until the news comes."""
    now = THE_DAY + timedelta(days=delay)
    book = covered("insurance-credits")
    (plans,) = book.lots.values()
    lot = plans if source == "plan" else book.open_lot(source, length, None)
    if source != "plan":
        arrive(book, lot)
    set_aside = Hold("s", "h", book.member_id, "insurance-credits", "held", NOW, lot_id=lot.id, length_minutes=60)
    book.transfer("hold", Account.available(lot), Account.held(lot), Note(NOW, "m", "r", "s", "h"))
    if then is not None:
        enrol(book, EnrolmentRequest(then, THE_DAY.date(), None, "UTC"), THE_DAY)
    if source != "plan" or then is None:
        lot.expires_at = None if left is None else THE_DAY + timedelta(days=left)
    stood_until = lot.expires_at
    target = ended(
        book,
        set_aside,
        Ending("returned", "cancelled", THE_DAY, caused_by=caused_by),
        now,
    )
    if caused_by == "member":
        assert target is lot
        return
    assert book.entries[-1].kind == "return", "nothing lapses as it comes back"
    if caused_by == "others":
        assert target.expires_at is None or target.expires_at >= now + MAKE_GOOD
        assert unusable(target, book.enrolments, now) is None, "something can be booked with it"
    elif stood_until is None or stood_until > now:
        assert (target, target.expires_at) == (lot, stood_until), "it is as it would have been without the booking"
    else:
        assert target.expires_at == now + MAKE_GOOD
    again = request(now + timedelta(hours=5), length=60)
    if target is not lot:
        assert paying_lot(covering(book.enrolments, again.starts_at), book.lots.values(), again) is not None
