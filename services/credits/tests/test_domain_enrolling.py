"""PLAN-1: what a plan grants, when it lapses, and what a new enrolment does to the earlier one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_credits.domain.endings import Ending
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.plans import PLANS
from makegood_credits.domain.settling import settle

from .credit_building import NOW, covered, held, lapses, refused, request, story


@pytest.mark.rule("PLAN-1")
def test_the_plans_of_every_installation() -> None:
    shown = {
        plan.id: (plan.kind, plan.lengths, plan.modalities, plan.live_credits, plan.period, plan.purchasable)
        for plan in PLANS.values()
    }
    talking, meeting = ("video", "audio", "chat"), ("video", "audio", "in_person")
    assert shown == {
        "out-of-pocket-4": ("out_of_pocket", (30,), talking, 4, "P1M", True),
        "eap-6": ("eap", (45,), talking, 6, None, False),
        "insurance-copay": ("health_insurance", (45, 60), meeting, None, None, False),
        "insurance-credits": ("health_insurance", (45, 60), meeting, 8, "P1M", False),
        "sponsored-12": ("sponsored", (45,), ("video", "audio", "chat", "in_person"), 12, None, False),
        "messaging-only": ("out_of_pocket", (), (), 0, None, False),
    }
    co_pay = PLANS["insurance-copay"].co_pay
    assert co_pay is not None
    assert (co_pay.amount_minor, co_pay.currency) == (2500, "USD")


@pytest.mark.rule("PLAN-1", "CRED-1")
@pytest.mark.parametrize(
    ("plan_id", "credits", "length", "expires_at"),
    [
        ("out-of-pocket-4", 4, 30, datetime(2026, 12, 1, tzinfo=UTC)),
        ("insurance-credits", 8, None, datetime(2026, 12, 1, tzinfo=UTC)),
        ("eap-6", 6, 45, None),
        ("sponsored-12", 12, 45, None),
    ],
)
def test_enrolling_grants_the_present_periods_credits(
    plan_id: str, credits: int, length: int | None, expires_at: datetime | None
) -> None:
    book = covered(plan_id)
    (lot,) = book.lots.values()
    assert (book.available, lot.granted, lot.available) == (credits, credits, credits)
    assert (lot.source, lot.length_minutes, lot.expires_at) == ("plan", length, expires_at)
    assert story(book) == [("grant", credits)]


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("plan_id", ["insurance-copay", "messaging-only"])
def test_plans_without_credits_grant_none(plan_id: str) -> None:
    assert not covered(plan_id).entries


@pytest.mark.rule("PLAN-1")
def test_a_start_in_the_past_grants_the_present_period_alone() -> None:
    book = covered(starts_on=date(2026, 6, 10))
    assert story(book) == [("grant", 4)]
    assert [lot.expires_at for lot in book.lots.values()] == [datetime(2026, 12, 10, tzinfo=UTC)]


@pytest.mark.rule("PLAN-1")
def test_a_start_ahead_grants_at_that_start_and_not_before() -> None:
    book = covered(starts_on=date(2026, 12, 5))
    assert not book.entries
    assert book.next_due == datetime(2026, 12, 5, tzinfo=UTC)
    catch_up(book, book.next_due)
    assert story(book) == [("grant", 4)]


@pytest.mark.rule("PLAN-1", "CRED-2")
def test_the_next_periods_credits_come_by_themselves_and_the_old_ones_do_not_roll_over() -> None:
    book = covered()
    held(book)
    assert book.next_due == datetime(2026, 12, 1, tzinfo=UTC)
    catch_up(book, book.next_due - timedelta(microseconds=1))
    assert story(book) == [("grant", 4), ("hold", 1)]
    catch_up(book, datetime(2026, 12, 1, tzinfo=UTC))
    assert story(book) == [("grant", 4), ("hold", 1), ("expire", 3), ("grant", 4)]
    assert (book.available, book.held) == (4, 1), "what is held stays held"
    assert book.next_due == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.rule("PLAN-1", "CRED-1")
def test_after_a_leap_over_periods_the_ledger_tells_each_in_order() -> None:
    book = covered()
    catch_up(book, datetime(2027, 2, 10, tzinfo=UTC))
    assert story(book) == [("grant", 4), *[("expire", 4), ("grant", 4)] * 3]
    assert [entry.reason for entry in book.entries if entry.kind == "grant"][1:] == [
        "Plan out-of-pocket-4, period from 2026-12-01.",
        "Plan out-of-pocket-4, period from 2027-01-01.",
        "Plan out-of-pocket-4, period from 2027-02-01.",
    ]
    assert book.available == 4


@pytest.mark.rule("PLAN-1")
def test_coverage_that_ends_grants_nothing_more() -> None:
    book = covered(ends_on=date(2026, 12, 15))
    catch_up(book, datetime(2027, 6, 1, tzinfo=UTC))
    assert story(book) == [("grant", 4), ("expire", 4), ("grant", 4), ("expire", 4)]
    assert book.next_due is None
    second = [lot for lot in book.lots.values() if lot.period == 1]
    assert [lot.expires_at for lot in second] == [datetime(2026, 12, 16, tzinfo=UTC)]


@pytest.mark.rule("PLAN-1", "BOOK-9")
def test_the_same_enrolment_again_changes_nothing() -> None:
    book = covered()
    again = enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW + timedelta(days=2))
    assert not again.changed
    assert story(book) == [("grant", 4)]


@pytest.mark.rule("PLAN-1")
def test_a_moved_end_is_the_same_enrolment_and_grants_nothing_twice() -> None:
    book = covered("eap-6", ends_on=date(2026, 11, 30))
    (before,) = book.enrolments
    held(book, request(length=45))
    longer = enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 1), date(2027, 1, 31), "UTC"), NOW)
    assert (longer.changed, longer.ended, longer.enrolment.id) == (True, (), before.id)
    assert story(book) == [("grant", 6), ("hold", 1)]
    (lot,) = book.lots.values()
    assert lot.expires_at == book.next_due == datetime(2027, 2, 1, tzinfo=UTC)
    enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 1), date(2026, 11, 10), "UTC"), NOW)
    assert story(book)[2:] == [("expire", 5)], "coverage that is over leaves nothing"


@pytest.mark.rule("PLAN-1", "CRED-2")
def test_a_new_enrolment_ends_the_earlier_one_and_what_is_held_stays_held() -> None:
    book = covered()
    held(book)
    changed = enrol(book, EnrolmentRequest("insurance-credits", date(2026, 11, 23), None, "UTC"), NOW)
    assert [each.plan_id for each in changed.ended] == ["out-of-pocket-4"]
    assert story(book) == [("grant", 4), ("hold", 1), ("expire", 3), ("grant", 8)]
    assert (book.available, book.held) == (8, 1)
    catch_up(book, datetime(2026, 12, 2, tzinfo=UTC))
    assert sum(each.next_grant is None for each in book.enrolments) == 1
    assert refused(book, request(datetime(2026, 12, 10, tzinfo=UTC), length=30)) == ["length-not-in-plan"]


@pytest.mark.rule("PLAN-1")
def test_an_enrolment_ahead_leaves_the_present_one_until_then() -> None:
    book = covered()
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 12, 10), None, "UTC"), NOW)
    assert story(book) == [("grant", 4)]
    catch_up(book, datetime(2026, 12, 10, tzinfo=UTC))
    assert story(book) == [("grant", 4), ("expire", 4), ("grant", 4), ("expire", 4), ("grant", 12)]


@pytest.mark.rule("PLAN-1", "BOOK-9")
def test_a_plan_that_is_taken_up_again_is_the_same_enrolment_and_grants_no_period_twice() -> None:
    book = covered()
    (first,) = book.enrolments
    held(book)
    for asked in range(3):
        held(book, request(NOW + timedelta(days=4 + asked)))
    used = [("grant", 4), *[("hold", 1)] * 4]
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 11, 28), None, "UTC"), NOW)
    back = enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW)
    assert (back.changed, back.enrolment.id, back.enrolment.covers_until) == (True, first.id, None)
    assert [each.plan_id for each in back.ended] == ["sponsored-12"]
    assert (story(book), book.available) == (used, 0), "four of four stay used"
    again = enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW)
    assert (again.changed, again.ended) == (False, ())
    catch_up(book, datetime(2026, 12, 2, tzinfo=UTC))
    assert story(book) == [*used, ("grant", 4)], "the next period comes as ever, and nothing of the plan given up"


@pytest.mark.rule("PLAN-1")
def test_unspent_credits_of_a_plan_that_goes_on_after_all_stand_to_the_end_of_their_period() -> None:
    book = covered()
    held(book)
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 11, 28), None, "UTC"), NOW)
    assert [lot.expires_at for lot in book.lots.values()] == [datetime(2026, 11, 28, tzinfo=UTC)]
    enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW)
    assert [lot.expires_at for lot in book.lots.values()] == [datetime(2026, 12, 1, tzinfo=UTC)]
    assert (story(book), book.available) == ([("grant", 4), ("hold", 1)], 3)


@pytest.mark.rule("PLAN-1")
def test_back_and_forth_between_running_plans_grants_each_once_a_period() -> None:
    book = covered()
    for _ in range(3):
        enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 23), None, "UTC"), NOW)
        enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW)
    granted = [amount for kind, amount in story(book) if kind == "grant"]
    assert granted == [4, 6]
    assert sum(each.covers_until is None for each in book.enrolments) == 1


@pytest.mark.rule("PLAN-1")
def test_coverage_in_another_zone_leaves_no_gap_and_no_overlap() -> None:
    book = covered(starts_on=date(2026, 11, 1), time_zone="UTC")
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 12, 10), None, "America/New_York"), NOW)
    first, second = book.enrolments
    assert first.covers_until == second.covers_from == datetime(2026, 12, 10, 5, tzinfo=UTC)


@pytest.mark.rule("CRED-2", "MISS-2")
def test_a_session_missed_after_a_change_of_plan_gives_its_credit_back_for_thirty_days() -> None:
    book = covered()
    hold = held(book)
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 11, 23), None, "UTC"), NOW)
    missed_at = NOW + timedelta(days=3)
    settle(book, hold, Ending("returned", "provider_missed", missed_at), missed_at)
    (lot,) = [lot for lot in book.lots.values() if lot.source == "make_good"]
    assert (lot.available, lot.expires_at) == (1, missed_at + timedelta(days=30))


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("begins", [date(2026, 11, 23), date(2026, 11, 20)])
def test_a_plan_that_is_resumed_on_the_day_it_was_replaced_goes_on_with_its_credits(begins: date) -> None:
    book = covered()
    (lot,) = book.lots.values()
    held(book)
    enrol(book, EnrolmentRequest("eap-6", begins, None, "UTC"), NOW)
    assert (lot.available, book.available) == (0, 6)
    evening = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)
    enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), evening, lapses(book))
    assert (lot.available, lot.held, lot.granted, lot.expires_at) == (3, 1, 4, datetime(2026, 12, 1, tzinfo=UTC))
    assert book.available == 3, "and nothing is left of the plan that came between"
    enrol(book, EnrolmentRequest("eap-6", begins, None, "UTC"), evening, lapses(book))
    assert (lot.available, book.available) == (0, 6), "which may be resumed in its turn"
    again = enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), evening, lapses(book))
    assert (lot.available, book.available, again.enrolment.next_grant) == (3, 3, lot.expires_at)


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(("time_zone", "comes_back"), [("UTC", 0), ("America/New_York", 4), ("Asia/Tokyo", 4)])
def test_from_the_next_day_on_what_lapsed_stays_lapsed(time_zone: str, comes_back: int) -> None:
    """The day is the coverage's: 23:00 and 01:00 of UTC are one day in New York and in Tokyo."""
    book = covered(time_zone=time_zone)
    late = datetime(2026, 11, 23, 23, tzinfo=UTC)
    enrol(book, EnrolmentRequest("eap-6", date(2026, 11, 23), None, time_zone), late)
    after = late + timedelta(hours=2)
    enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, time_zone), after, lapses(book))
    assert book.available == comes_back


@pytest.mark.rule("PLAN-1")
def test_what_lapsed_with_its_period_does_not_come_back() -> None:
    book = covered()
    morning = datetime(2026, 12, 1, 8, tzinfo=UTC)
    catch_up(book, morning)
    enrol(book, EnrolmentRequest("eap-6", date(2026, 12, 1), None, "UTC"), morning)
    enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), morning, lapses(book))
    assert [(lot.period, lot.available) for lot in book.lots.values() if lot.source == "plan"] == [
        (0, 0),
        (1, 4),
        (0, 0),
    ]


@pytest.mark.rule("PLAN-1", "CRED-1")
@given(steps=st.lists(st.tuples(st.sampled_from(["out-of-pocket-4", "eap-6"]), st.integers(0, 3)), max_size=12))
def test_back_and_forth_within_a_day_costs_nothing_and_gives_nothing(steps: list[tuple[str, int]]) -> None:
    book, spent = covered(), Counter[str]()
    granted = {"out-of-pocket-4": 4, "eap-6": 6}
    starts = {"out-of-pocket-4": date(2026, 11, 1), "eap-6": date(2026, 11, 23)}
    for minute, (plan_id, takes) in enumerate(steps):
        now = NOW + timedelta(minutes=minute)
        enrol(book, EnrolmentRequest(plan_id, starts[plan_id], None, "UTC"), now, lapses(book))
        assert book.available == granted[plan_id] - spent[plan_id]
        for _ in range(min(takes, book.available)):
            held(book, request(length=30 if plan_id == "out-of-pocket-4" else 45), now)
            spent[plan_id] += 1
