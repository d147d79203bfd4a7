"""PLAN-1: a plan that is resumed on the day it was replaced continues as it was, however the request names its start."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from makegood_credits.domain.book import Book
from makegood_credits.domain.enrolling import EnrolmentRequest, EnrolmentResult, catch_up, end_coverage, enrol

from .credit_building import NOW, covered, held, lapses, refused, request

TODAY = date(2026, 11, 23)


def resume(
    book: Book,
    plan_id: str = "out-of-pocket-4",
    starts_on: date = TODAY,
    time_zone: str | None = None,
    now: datetime = NOW,
) -> EnrolmentResult:
    return enrol(book, EnrolmentRequest(plan_id, starts_on, None, time_zone), now, lapses(book))


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("time_zone", [None, "UTC"])
@pytest.mark.parametrize("began", [TODAY, date(2026, 11, 20)])
@pytest.mark.parametrize("plan_id", ["out-of-pocket-4", "eap-6", "insurance-credits", "sponsored-12"])
def test_a_plan_resumed_from_today_on_the_day_it_was_replaced_continues(
    plan_id: str, began: date, time_zone: str | None
) -> None:
    book = covered(plan_id)
    (first,) = book.enrolments
    held(book, request(length=first.plan.lengths[0]))
    left = book.available
    enrol(book, EnrolmentRequest("messaging-only", began, None, "UTC"), NOW)
    assert book.available == 0
    back = resume(book, plan_id, time_zone=time_zone)
    assert (back.enrolment.id, back.enrolment.starts_on, back.enrolment.covers_until) == (
        first.id,
        date(2026, 11, 1),
        None,
    )
    assert (book.available, book.held) == (left, 1)
    assert [each.plan_id for each in back.ended] == ["messaging-only"]
    for starts_on in (TODAY, date(2026, 11, 1)):
        again = resume(book, plan_id, starts_on, time_zone, NOW + timedelta(days=3))
        assert (again.changed, again.enrolment.id) == (False, first.id), "the same again changes nothing"
    assert sum(entry.kind == "grant" for entry in book.entries) == 1, "no period is granted twice"


@pytest.mark.rule("PLAN-1")
def test_one_whose_credits_were_all_used_gets_no_new_ones_by_it() -> None:
    book = covered()
    for day in range(4):
        held(book, request(NOW + timedelta(days=day, hours=1)))
    for began in (TODAY, date(2026, 11, 20)):
        enrol(book, EnrolmentRequest("messaging-only", began, None, "UTC"), NOW)
        resume(book)
        assert book.available == 0


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("time_zone", ["America/New_York", "Asia/Tokyo"])
def test_without_a_time_zone_the_plan_continues_in_its_own(time_zone: str) -> None:
    book = covered(time_zone=time_zone)
    (first,) = book.enrolments
    enrol(book, EnrolmentRequest("eap-6", TODAY, None, time_zone), NOW)
    assert resume(book, starts_on=date(2026, 11, 1)).enrolment.id == first.id
    enrol(book, EnrolmentRequest("eap-6", TODAY, None, time_zone), NOW, lapses(book))
    back = resume(book)
    assert (back.enrolment.id, back.enrolment.time_zone, book.available) == (first.id, time_zone, 4)
    assert not resume(book, starts_on=date(2026, 11, 1)).changed


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("time_zone", ["America/New_York", "Asia/Tokyo"])
def test_the_day_is_the_one_on_which_the_other_plan_began_in_its_own_zone(time_zone: str) -> None:
    book = covered(time_zone=time_zone)
    (first,) = book.enrolments
    enrol(book, EnrolmentRequest("eap-6", date(2026, 12, 10), None, "UTC"), NOW)
    assert resume(book, starts_on=date(2026, 12, 10), now=NOW + timedelta(days=3)).enrolment.id == first.id


@pytest.mark.rule("PLAN-1")
def test_a_plan_that_is_to_be_replaced_later_is_resumed_by_the_day_that_was_agreed() -> None:
    book = covered()
    (first,) = book.enrolments
    enrol(book, EnrolmentRequest("eap-6", date(2026, 12, 10), None, "UTC"), NOW)
    back = resume(book, starts_on=date(2026, 12, 10), now=NOW + timedelta(days=3))
    assert (back.enrolment.id, back.enrolment.covers_until, book.available) == (first.id, None, 4)
    catch_up(book, datetime(2026, 12, 12, tzinfo=UTC))
    assert book.available == 4, "and nothing comes of the plan in between"


@pytest.mark.rule("PLAN-1")
def test_from_the_next_day_on_it_is_another_agreement() -> None:
    book = covered()
    (first,) = book.enrolments
    enrol(book, EnrolmentRequest("eap-6", TODAY, None, "UTC"), NOW)
    tomorrow = NOW + timedelta(days=1)
    new = resume(book, starts_on=date(2026, 11, 24), now=tomorrow)
    assert new.enrolment.id != first.id
    assert (new.enrolment.starts_on, book.available) == (date(2026, 11, 24), 4)


@pytest.mark.rule("PLAN-1")
def test_the_same_plan_anew_without_one_in_between_is_another_agreement() -> None:
    """An employer grants six sessions more."""
    book = covered("eap-6", ends_on=date(2026, 11, 22))
    (first,) = book.enrolments
    for plan in (resume(book, "eap-6"), resume(book, "eap-6", date(2026, 12, 1))):
        assert plan.enrolment.id != first.id


@pytest.mark.rule("PLAN-1")
def test_another_time_zone_is_another_agreement() -> None:
    book = covered(time_zone="America/New_York")
    (first,) = book.enrolments
    enrol(book, EnrolmentRequest("eap-6", TODAY, None, "America/New_York"), NOW)
    assert resume(book, time_zone="Asia/Tokyo").enrolment.id != first.id
    assert [each.time_zone for each in [resume(Book("m"), time_zone=None).enrolment]] == ["UTC"]


@pytest.mark.rule("NOTE-5", "PLAN-1")
def test_who_is_erased_gets_no_more_credits() -> None:
    book = covered(time_zone="America/New_York")
    held(book)
    enrol(book, EnrolmentRequest("sponsored-12", date(2026, 12, 20), None, "UTC"), NOW)
    ended = end_coverage(book, NOW)
    assert [(each.plan_id, each.next_grant) for each in ended] == [("out-of-pocket-4", None), ("sponsored-12", None)]
    catch_up(book, datetime(2027, 6, 1, tzinfo=UTC))
    assert [(entry.kind, entry.amount) for entry in book.entries] == [("grant", 4), ("hold", 1), ("expire", 3)]
    assert refused(book, request(datetime(2027, 6, 2, tzinfo=UTC)), datetime(2027, 6, 1, tzinfo=UTC)) == [
        "coverage-ended",
    ]
    assert (end_coverage(book, datetime(2027, 6, 1, tzinfo=UTC)), book.next_due) == ((), None), "once"
