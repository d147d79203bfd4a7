"""MISS-4: a credit that was made good pays for its length for thirty days, whatever becomes of the plan in the meantime."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts.events import LotSource, SettleCause
from makegood_credits.domain.adjusting import adjust
from makegood_credits.domain.book import ADJUSTED, Account, Book, LedgerEntry, Lot
from makegood_credits.domain.correcting import correct
from makegood_credits.domain.endings import CausedBy, Ending, move_dropped
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.holding import Hold, HoldRefusal, hold
from makegood_credits.domain.moving import MoveRequest, fund_move, take_place
from makegood_credits.domain.plans import PLANS
from makegood_credits.domain.settling import MAKE_GOOD, return_by_hand, settle

from .credit_building import NOTE, NOW, arrive, covered, held, refused, request

MISSED = datetime(2026, 11, 28, 9, tzinfo=UTC)
NEXT_DAY = MISSED + timedelta(days=1)
OTHER_PLANS = sorted(set(PLANS) - {"eap-6"})


def returned(book: Book, set_aside: Hold, now: datetime = MISSED, caused_by: CausedBy = "others") -> Lot:
    """The lot that the credit comes back to."""
    cause: SettleCause = "provider_missed" if caused_by == "others" else "cancelled"
    entry = settle(book, set_aside, Ending("returned", cause, now, caused_by=caused_by), now)
    assert isinstance(entry, LedgerEntry)
    return book.lots[entry.lot_id]


def missed(plan_id: str = "eap-6", length: int = 45) -> tuple[Book, Hold]:
    """A member whose provider missed a session on the 28th: the credit went back into the plan's lot."""
    book = covered(plan_id)
    set_aside = held(book, request(MISSED, length))
    assert returned(book, set_aside).source == "plan"
    return book, set_aside


def replace(book: Book, plan_id: str, now: datetime = NEXT_DAY, starts_on: date | None = None) -> None:
    enrol(book, EnrolmentRequest(plan_id, starts_on or now.date(), None, "UTC"), now)


def resume(book: Book, now: datetime = NEXT_DAY, plan_id: str = "eap-6") -> None:
    enrol(book, EnrolmentRequest(plan_id, date(2026, 11, 1), None, "UTC"), now)


def made_good(book: Book) -> list[Lot]:
    """The lots of made-good credits that have one left."""
    return [lot for lot in book.lots.values() if lot.source == "make_good" and lot.available]


def only(book: Book, lot: Lot) -> None:
    """Takes all other credits away."""
    for other in list(book.lots.values()):
        if other is not lot and other.available:
            book.transfer("adjust", Account.available(other), ADJUSTED, NOTE, other.available)


def balanced(book: Book) -> bool:
    """CRED-1: debits equal credits, lot by lot."""
    for lot in book.lots.values():
        arrived = sum(each.amount for each in book.entries if each.credit_lot == lot.id)
        left = sum(each.amount for each in book.entries if each.debit_lot == lot.id)
        if arrived - left != lot.available + lot.held or len(lot.guarantees) > lot.available:
            return False
    return book.available == sum(lot.available for lot in book.lots.values())


@pytest.mark.rule("MISS-4", "MISS-2", "CRED-1")
@pytest.mark.parametrize("plan_id", OTHER_PLANS)
def test_a_credit_that_came_back_survives_a_change_of_plan(plan_id: str) -> None:
    book, _ = missed()
    replace(book, plan_id)
    (lot,) = made_good(book)
    assert (lot.available, lot.made_for_minutes, lot.made_under) == (1, 45, "eap-6")
    assert lot.expires_at == MISSED + MAKE_GOOD
    last = MISSED + MAKE_GOOD - timedelta(seconds=1)
    assert held(book, request(last, 45, modality="in_person"), NEXT_DAY).lot_id == lot.id
    assert balanced(book)


@pytest.mark.rule("MISS-4")
def test_a_change_of_plan_that_is_agreed_for_later_leaves_the_credit_its_thirty_days() -> None:
    book, _ = missed()
    replace(book, "messaging-only", starts_on=date(2026, 12, 10))
    assert held(book, request(datetime(2026, 12, 27, tzinfo=UTC), 45), NEXT_DAY).plan_id == "eap-6"
    assert book.available == 5, "the others lapse with the plan"
    catch_up(book, datetime(2026, 12, 10, tzinfo=UTC))
    assert (book.available, balanced(book)) == (0, True)


@pytest.mark.rule("MISS-4")
def test_a_shorter_coverage_leaves_the_credit_its_thirty_days() -> None:
    book, _ = missed()
    enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 1), date(2026, 12, 5), "UTC"), NEXT_DAY)
    assert held(book, request(datetime(2026, 12, 27, tzinfo=UTC), 45), NEXT_DAY).lot_id == made_lot(book)


def made_lot(book: Book) -> str:
    (lot,) = [lot for lot in book.lots.values() if lot.source == "make_good"]
    return lot.id


@pytest.mark.rule("MISS-4", "PLAN-1")
def test_after_its_thirty_days_it_lapses_with_the_plan_like_every_other() -> None:
    book, _ = missed()
    replace(book, "sponsored-12", MISSED + MAKE_GOOD)
    assert (made_good(book), book.available) == ([], 12)


@pytest.mark.rule("MISS-2", "MISS-4")
@pytest.mark.parametrize("caused_by", ["member", "nobody"])
def test_only_what_others_caused_survives(caused_by: CausedBy) -> None:
    book = covered("eap-6")
    returned(book, held(book, request(MISSED, 45)), caused_by=caused_by)
    replace(book, "sponsored-12")
    assert (made_good(book), book.available) == ([], 12)


@pytest.mark.rule("MISS-4", "MISS-5")
def test_what_support_gave_back_by_hand_survives_too() -> None:
    book = covered("eap-6")
    set_aside = held(book, request(MISSED, 45))
    settle(book, set_aside, Ending("forfeited", "member_no_show", MISSED), MISSED)
    assert isinstance(return_by_hand(book, set_aside, reason="r", made_by="s", now=MISSED), LedgerEntry)
    replace(book, "sponsored-12")
    assert (len(made_good(book)), book.available) == (1, 13)


@pytest.mark.rule("MISS-4", "MISS-2")
def test_it_is_made_good_once_a_session_that_was_booked_with_it_uses_it_up() -> None:
    book, _ = missed()
    again = held(book, request(datetime(2026, 12, 3, tzinfo=UTC), 45), MISSED)
    settle(book, again, Ending("spent", "completed", NEXT_DAY), NEXT_DAY)
    replace(book, "sponsored-12")
    assert (made_good(book), book.available) == ([], 12)


@pytest.mark.rule("MISS-4", "CANC-1")
@pytest.mark.parametrize("caused_by", ["member", "nobody"])
@pytest.mark.parametrize("before", [True, False])
def test_a_session_that_was_booked_with_it_and_does_not_take_place_leaves_it_as_it_was(
    caused_by: CausedBy, before: bool
) -> None:
    """`before` or after the plan was replaced: the credit keeps the days that were left, and gets no new ones."""
    book, _ = missed()
    again = held(book, request(datetime(2026, 12, 3, tzinfo=UTC), 45), MISSED)
    later = NEXT_DAY + timedelta(days=1)
    if before:
        returned(book, again, NEXT_DAY, caused_by)
    replace(book, "sponsored-12")
    if not before:
        returned(book, again, later, caused_by)
    (lot,) = made_good(book)
    assert (lot.available, lot.expires_at, book.available) == (1, MISSED + MAKE_GOOD, 13)
    assert balanced(book)


@pytest.mark.rule("MISS-4", "RESC-1")
def test_a_move_takes_it_along_and_gives_it_back() -> None:
    for happens in (True, False):
        book = covered("eap-6")
        first = held(book, request(datetime(2026, 12, 3, tzinfo=UTC), 45))
        returned(book, held(book, request(MISSED, 45)))
        move = MoveRequest(request(datetime(2026, 12, 5, tzinfo=UTC), 45, session_id=first.session_id), forfeits=True)
        added = fund_move(book, first, move, MISSED)
        assert isinstance(added, Hold)
        if happens:
            take_place(book, first, added, Ending("forfeited", "moved", MISSED), MISSED)
            returned(book, first, MISSED, "member")
        else:
            settle(book, added, move_dropped(MISSED), MISSED)
        replace(book, "sponsored-12")
        assert len(made_good(book)) == 1, happens
        assert balanced(book)


@pytest.mark.rule("MISS-4", "RESC-1")
def test_a_session_that_was_booked_with_it_is_moved_within_its_thirty_days_after_coverage_ended() -> None:
    book, _ = missed()
    again = held(book, request(datetime(2026, 12, 3, tzinfo=UTC), 45), MISSED)
    enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 1), date(2026, 12, 5), "UTC"), NEXT_DAY)

    def moved(starts_at: datetime, length: int = 45) -> object:
        return fund_move(
            book, again, MoveRequest(request(starts_at, length, session_id=again.session_id), False), NEXT_DAY
        )

    last = MISSED + MAKE_GOOD - timedelta(seconds=1)
    assert moved(last) == "kept", "as it could be booked with after cancelling"
    assert isinstance(moved(MISSED + MAKE_GOOD), HoldRefusal)
    assert isinstance(moved(last, 60), HoldRefusal)
    again.guarantee = None
    assert isinstance(moved(last), HoldRefusal), "any other credit of the plan"


@pytest.mark.rule("MISS-4", "MISS-5")
@pytest.mark.parametrize("changed", [False, True])
def test_a_corrected_outcome_takes_the_credit_wherever_it_lies(changed: bool) -> None:
    book, set_aside = missed()
    if changed:
        replace(book, "sponsored-12")
    came_back = next(each for each in reversed(book.entries) if each.hold_id == set_aside.id and each.credit_lot)
    entry = correct(
        book,
        set_aside,
        "returned",
        "spent",
        came_back_to=book.lots[came_back.credit_lot or ""],
        made_by="support-1",
        now=NEXT_DAY,
    )
    assert isinstance(entry, LedgerEntry)
    if not changed:
        replace(book, "sponsored-12")
    assert (made_good(book), book.available) == ([], 12), "it was no miss"
    assert balanced(book)


@pytest.mark.rule("MISS-4", "CRED-5")
def test_what_support_takes_away_is_not_made_good() -> None:
    book, _ = missed()
    assert isinstance(adjust(book, -6, length_minutes=None, reason="r", made_by="s", now=MISSED), list)
    replace(book, "sponsored-12")
    assert (made_good(book), book.available, balanced(book)) == ([], 12, True)


@pytest.mark.rule("PLAN-1", "MISS-4")
def test_a_plan_that_is_resumed_has_the_credit_in_its_place_again() -> None:
    book, _ = missed()
    (plan,) = book.lots.values()
    for days in (1, 2, 3):
        now = MISSED + timedelta(days=days)
        replace(book, "sponsored-12", now)
        assert len(made_good(book)) == 1
        resume(book, now)
        assert made_good(book) == [], "it stands as long as its plan again"
        assert balanced(book)
    assert plan.available >= 1
    assert (plan.granted, plan.expires_at) == (6, None)
    replace(book, "sponsored-12", MISSED + timedelta(days=4))
    assert len(made_good(book)) == 1


@pytest.mark.rule("MISS-4")
@pytest.mark.parametrize("plan_id", ["sponsored-12", "insurance-credits"])
def test_several_lengths_each_keep_their_own(plan_id: str) -> None:
    book = covered("sponsored-12") if plan_id == "sponsored-12" else Book("member-1")
    if plan_id == "insurance-credits":
        lot = book.open_lot("adjustment", None, None)
        arrive(book, lot, 3)
        enrol(book, EnrolmentRequest(plan_id, date(2026, 11, 1), None, "UTC"), NOW)
        only(book, lot)
    lengths = (45, 45) if plan_id == "sponsored-12" else (45, 60)
    for set_aside in [held(book, request(MISSED, length)) for length in lengths]:
        returned(book, set_aside)
    replace(book, "messaging-only")
    assert sorted(lot.made_for_minutes or 0 for lot in made_good(book)) == list(lengths)
    assert balanced(book)


def of_no_plan(
    source: LotSource, length: int | None, expires_at: datetime | None, ends_on: date | None
) -> tuple[Book, Lot, Hold]:
    """A member on a plan until `ends_on` who booked with the only credit there is, one of no plan."""
    book = covered("out-of-pocket-4", ends_on=ends_on)
    lot = book.open_lot(source, length, expires_at)
    arrive(book, lot)
    only(book, lot)
    return book, lot, held(book, request(MISSED, 30))


@pytest.mark.rule("MISS-2", "MISS-4")
@pytest.mark.parametrize("source", ["purchase", "adjustment"])
@pytest.mark.parametrize(
    ("ends_on", "stays"),
    [(date(2026, 11, 28), False), (date(2026, 12, 20), False), (date(2026, 12, 28), True), (None, True)],
)
def test_a_credit_of_no_plan_goes_back_where_it_can_be_used_for_thirty_days_without_a_gap(
    source: LotSource, ends_on: date | None, stays: bool
) -> None:
    book, lot, set_aside = of_no_plan(source, 30, datetime(2027, 11, 1, tzinfo=UTC), ends_on)
    target = returned(book, set_aside)
    assert (target is lot) is stays
    assert target.expires_at == lot.expires_at, "what stands longer than thirty days does not become less"
    assert held(book, request(MISSED + MAKE_GOOD - timedelta(seconds=1), 30), MISSED).lot_id == target.id


@pytest.mark.rule("MISS-2", "MISS-4")
def test_coverage_that_is_agreed_counts_where_it_leaves_no_gap() -> None:
    for starts_on, stays in ((date(2026, 12, 21), True), (date(2026, 12, 22), False)):
        book, lot, set_aside = of_no_plan("purchase", 30, None, date(2026, 12, 20))
        enrolled = enrol(book, EnrolmentRequest("out-of-pocket-4", starts_on, None, "UTC"), NOW)
        assert enrolled.changed
        assert (returned(book, set_aside) is lot) is stays


@pytest.mark.rule("MISS-4")
@pytest.mark.parametrize("plan_id", sorted(set(PLANS) - {"out-of-pocket-4"}))
def test_a_credit_of_no_plan_survives_a_change_of_plan_after_it_came_back(plan_id: str) -> None:
    book, lot, set_aside = of_no_plan("purchase", 30, datetime(2027, 11, 1, tzinfo=UTC), None)
    assert returned(book, set_aside) is lot
    replace(book, plan_id)
    again = request(MISSED + MAKE_GOOD - timedelta(seconds=1), 30)
    paying = held(book, again, NEXT_DAY)
    assert paying.lot_id is not None
    assert book.lots[paying.lot_id].source == "make_good"
    assert book.lots[paying.lot_id].expires_at == datetime(2027, 11, 1, tzinfo=UTC)


@pytest.mark.rule("MISS-2", "MISS-4", "CRED-1")
@given(
    plan_id=st.sampled_from(["eap-6", "sponsored-12", "out-of-pocket-4", "insurance-credits"]),
    source=st.sampled_from(["plan", "purchase", "adjustment"]),
    ends=st.none() | st.integers(0, 80),
    changes=st.lists(st.tuples(st.integers(0, 29), st.sampled_from(sorted(PLANS)), st.integers(-3, 20)), max_size=4),
    rebooks=st.integers(0, 29),
)
def test_whatever_happens_to_the_plan_the_credit_pays_until_its_last_day(
    plan_id: str, source: LotSource, ends: int | None, changes: list[tuple[int, str, int]], rebooks: int
) -> None:
    """`ends`: days from the miss to the end of coverage; `changes`: when, which plan, and in how many days it begins."""
    last_day = None if ends is None else MISSED.date() + timedelta(days=ends)
    book = covered(plan_id, ends_on=last_day)
    length = PLANS[plan_id].lengths[-1]
    if source != "plan":
        lot = book.open_lot(source, length, None)
        arrive(book, lot)
        only(book, lot)
    returned(book, held(book, request(MISSED, length)))
    for after, other, begins in sorted(changes):
        now = MISSED + timedelta(days=after)
        enrol(book, EnrolmentRequest(other, now.date() + timedelta(days=begins), None, "UTC"), now)
    now = MISSED + timedelta(days=max([rebooks, *(after for after, _, _ in changes)]))
    for asked in (now + timedelta(minutes=1), MISSED + MAKE_GOOD - timedelta(seconds=1)):
        outcome = hold(book, request(asked, length), now)
        assert isinstance(outcome, Hold), outcome
        returned(book, outcome, now, "member")
    assert balanced(book)


@pytest.mark.rule("MISS-4", "MISS-2")
def test_one_credit_pays_one_session() -> None:
    book, _ = missed()
    replace(book, "messaging-only")
    asked = request(datetime(2026, 12, 3, tzinfo=UTC), 45)
    held(book, asked, NEXT_DAY)
    assert refused(book, asked, NEXT_DAY) == ["plan-excludes-live-sessions"]
