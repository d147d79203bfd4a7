"""RESC-1, RESC-2: a move that costs nothing is not refused for what became of the member's plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from makegood_credits.domain.book import Book
from makegood_credits.domain.enrolling import EnrolmentRequest, enrol
from makegood_credits.domain.holding import Hold, HoldRefusal
from makegood_credits.domain.moving import MoveRequest, fund_move
from makegood_credits.domain.plans import PLANS

from .credit_building import NOW, arrive, covered, held, request

THE_DAY = NOW + timedelta(days=3)


def moved(book: Book, set_aside: Hold, starts_at: datetime, length: int, by: str = "provider", **other: Any) -> Any:
    asked = request(starts_at, length, booked_by=by, session_id=set_aside.session_id)
    return fund_move(book, set_aside, MoveRequest(asked, **{"forfeits": False, **other}), NOW)


@pytest.mark.rule("RESC-2")
@pytest.mark.parametrize("plan_id", sorted(set(PLANS) - {"messaging-only"}))
@pytest.mark.parametrize("then", sorted(PLANS))
def test_a_providers_move_is_not_refused_for_the_members_plan(plan_id: str, then: str) -> None:
    length = PLANS[plan_id].lengths[-1]
    book = covered(plan_id)
    set_aside = held(book, request(THE_DAY, length))
    enrol(book, EnrolmentRequest(then, NOW.date(), None, "UTC"), NOW)
    for days in (1, 2, 40):
        assert not isinstance(moved(book, set_aside, NOW + timedelta(days=days), length), HoldRefusal)


@pytest.mark.rule("RESC-2")
@pytest.mark.parametrize("plan_id", ["out-of-pocket-4", "eap-6", "insurance-copay"])
def test_a_providers_move_beyond_the_end_of_coverage_keeps_what_is_held(plan_id: str) -> None:
    length = PLANS[plan_id].lengths[0]
    book = covered(plan_id, ends_on=date(2026, 11, 30))
    set_aside = held(book, request(THE_DAY, length))
    assert moved(book, set_aside, datetime(2026, 12, 2, tzinfo=UTC), length) == "kept"
    assert sum(entry.kind == "hold" for entry in book.entries) == book.held, "and nothing else is held beside it"


@pytest.mark.rule("RESC-2")
def test_a_providers_move_into_a_period_without_credits_left_keeps_what_is_held() -> None:
    book = covered()
    set_aside = held(book, request(THE_DAY))
    assert moved(book, set_aside, datetime(2026, 12, 2, tzinfo=UTC), 30) == "kept"
    lot = book.open_lot("purchase", 30, None)
    arrive(book, lot, 1, "purchase")
    added = moved(book, set_aside, datetime(2026, 12, 2, tzinfo=UTC), 30)
    assert isinstance(added, Hold), "where another credit pays for that day, that one does"
    assert added.lot_id == lot.id


@pytest.mark.rule("RESC-1")
def test_a_providers_move_of_another_length_keeps_what_is_held() -> None:
    book = covered("eap-6")
    set_aside = held(book, request(THE_DAY, 45))
    assert moved(book, set_aside, THE_DAY + timedelta(hours=1), 60) == "kept"


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize("then", ["eap-6", "messaging-only", "insurance-credits"])
def test_a_members_move_in_time_keeps_what_is_held_of_a_plan_that_was_replaced(then: str) -> None:
    book = covered()
    set_aside = held(book, request(THE_DAY))
    enrol(book, EnrolmentRequest(then, NOW.date(), None, "UTC"), NOW)
    for days in (-1, 0, 1):
        asked = THE_DAY + timedelta(days=days, hours=1)
        assert moved(book, set_aside, asked, 30, "member") == "kept"
    assert isinstance(moved(book, set_aside, THE_DAY, 30, "member", forfeits=True), HoldRefusal), (
        "a new credit is needed"
    )


@pytest.mark.rule("RESC-1", "PLAN-1", "BOOK-7")
def test_a_members_move_carries_no_credit_over_into_the_next_period_or_behind_the_end_of_coverage() -> None:
    for ends_on in (None, date(2026, 11, 30)):
        book = covered(ends_on=ends_on)
        set_aside = held(book, request(THE_DAY))
        assert isinstance(moved(book, set_aside, datetime(2026, 12, 2, tzinfo=UTC), 30, "member"), HoldRefusal)
        assert moved(book, set_aside, THE_DAY - timedelta(days=1), 30, "member") == "kept"


@pytest.mark.rule("RESC-1", "BOOK-7")
def test_a_members_move_to_a_length_that_the_plan_does_not_include_is_refused() -> None:
    book = covered("eap-6")
    set_aside = held(book, request(THE_DAY, 45))
    assert isinstance(moved(book, set_aside, THE_DAY - timedelta(hours=1), 60, "member"), HoldRefusal)


@pytest.mark.rule("RESC-1")
def test_what_is_not_held_any_more_is_not_kept_either() -> None:
    book = covered("eap-6")
    set_aside = held(book, request(THE_DAY, 45))
    set_aside.state = "returned"
    assert isinstance(moved(book, set_aside, THE_DAY, 45), HoldRefusal)


BY_PROVIDER: dict[str, Any] = {"by": "member", "caused_by_provider": True}


@pytest.mark.rule("RESC-3", "MISS-2", "EXT-1")
@pytest.mark.parametrize("ends_on", [None, date(2026, 11, 30)])
def test_a_members_move_for_what_the_provider_did_keeps_what_is_held_where_nothing_else_pays(
    ends_on: date | None,
) -> None:
    """The plan's lot lapses on 1 December; cancelling would make the credit good for thirty days."""
    book = covered(ends_on=ends_on)
    set_aside = held(book, request(THE_DAY))
    later = datetime(2026, 12, 2, tzinfo=UTC)
    assert moved(book, set_aside, later, 30, **BY_PROVIDER) == "kept"
    assert isinstance(moved(book, set_aside, later, 45, **BY_PROVIDER), HoldRefusal), (
        "the length is the member's own wish"
    )
    lot = book.open_lot("adjustment", 30, None)
    arrive(book, lot)
    added = moved(book, set_aside, later, 30, **BY_PROVIDER)
    assert added == "kept" if ends_on else added.lot_id == lot.id
