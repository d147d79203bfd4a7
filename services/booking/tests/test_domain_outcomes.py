"""Reconfirmation (CONF-3), disputes and corrections (MISS-5), sessions called off (CANC-2, ROOM-3), policies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from makegood_booking.domain import booking
from makegood_booking.domain.attendance import confirm, next_due, time_passed
from makegood_booking.domain.booking import support_may_book
from makegood_booking.domain.cancelling import call_off, cancel
from makegood_booking.domain.disputes import correct, dispute
from makegood_booking.domain.policy import STANDARD, impossible
from makegood_booking.domain.session import Refusal, Session
from makegood_contracts.events import (
    OutcomeCorrected,
    OutcomeDisputed,
    SessionCancelled,
    SessionConfirmed,
    SessionOutcome,
)
from makegood_contracts.ids import new_id
from msgspec.structs import replace

from . import answers
from .examples import (
    HOUR,
    MINUTE,
    NOW,
    ROOM,
    START,
    attended,
    booking_request,
    confirmed,
    done,
    names,
    only_event,
    requested,
    reserved,
)

TICK = timedelta(microseconds=1)
ASKED_AT = START - 48 * HOUR
OUTCOMES: list[SessionOutcome] = ["completed", "provider_missed", "member_no_show"]


def ended(outcome: SessionOutcome) -> Session:
    there = {"completed": ("member", "provider"), "provider_missed": ("member",), "member_no_show": ("provider",)}
    return done(time_passed(attended(*there[outcome]), START + HOUR))  # type: ignore[arg-type]


@pytest.mark.rule("CONF-3")
def test_the_provider_is_asked_again_48_hours_before_and_says_so_by_confirming() -> None:
    session = done(confirm(reserved(), NOW))
    assert next_due(session) == ASKED_AT
    assert time_passed(session, ASKED_AT - TICK).session is session
    result = time_passed(session, ASKED_AT)
    assert names(result) == ["ReconfirmationAsked"]
    asked = done(result)
    assert (asked.status, next_due(asked)) == ("confirmed", START + 10 * MINUTE)
    again = confirm(asked, ASKED_AT + HOUR)
    assert names(again) == ["SessionReconfirmed"]
    assert names(confirm(done(again), ASKED_AT + HOUR)) == []
    assert names(confirm(session, ASKED_AT - HOUR)) == []
    assert names(confirm(asked, START - TICK)) == ["SessionReconfirmed"]
    assert names(confirm(asked, START)) == []


@pytest.mark.rule("CONF-3")
def test_who_confirms_within_48_hours_is_not_asked_again() -> None:
    session = done(confirm(reserved(), ASKED_AT))
    assert next_due(session) == START + 10 * MINUTE
    early = done(confirm(reserved(), ASKED_AT - TICK))
    assert next_due(early) == ASKED_AT


@pytest.mark.rule("CONF-3", "MISS-1")
def test_nobody_is_asked_about_a_start_that_has_come() -> None:
    session = done(confirm(reserved(), NOW))
    for late in (START, START + MINUTE):
        assert names(time_passed(session, late)) == []
        assert next_due(time_passed(session, late).session) == START + 10 * MINUTE
    assert names(time_passed(session, START + 72 * HOUR)) == ["ProviderMissed"]


@pytest.mark.rule("REM-1")
@pytest.mark.parametrize(
    ("notice", "hours"), [(72 * HOUR, (24, 1)), (24 * HOUR, (1,)), (2 * HOUR, (1,)), (30 * MINUTE, ())]
)
def test_a_confirmed_session_says_when_to_remind_of_it(notice: timedelta, hours: tuple[int, ...]) -> None:
    session = reserved(NOW + notice)
    event = only_event(confirm(session, NOW))
    assert isinstance(event, SessionConfirmed)
    assert event.remind_at == tuple(NOW + notice - h * HOUR for h in hours)


@pytest.mark.rule("BOOK-5")
def test_what_the_provider_books_is_confirmed_at_once_when_slot_and_credit_are_held() -> None:
    asked = booking.request_session(new_id(), booking_request(), ROOM, "provider", STANDARD, NOW)
    held = answers.slot_held(done(asked), NOW)
    assert (names(held), done(held).status) == ([], "requested"), "it costs a credit, too"
    result = answers.credit_held(done(held), False, NOW)
    assert names(result) == ["SessionReserved", "SessionConfirmed"]
    session = done(result)
    assert (session.status, session.credit, session.version, session.reconfirmation) == ("confirmed", "held", 3, "due")


@pytest.mark.rule("BOOK-6")
def test_support_books_video_for_health_insurance_alone() -> None:
    assert support_may_book(booking_request(), "health_insurance")
    for plan in ("out_of_pocket", "eap", "sponsored", None):
        assert not support_may_book(booking_request(), plan)
    for modality in ("audio", "chat"):
        assert not support_may_book(booking_request(modality=modality), "health_insurance")
    assert not support_may_book(booking_request(modality="in_person", venue_id="v"), "health_insurance")


@pytest.mark.rule("MISS-5")
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("right", OUTCOMES)
def test_support_corrects_an_outcome_and_nothing_of_what_was_is_lost(
    outcome: SessionOutcome, right: SessionOutcome
) -> None:
    session = ended(outcome)
    result = correct(session, right, "sam", START + HOUR)
    if outcome == right:
        assert names(result) == []
        return
    event = only_event(result)
    assert isinstance(event, OutcomeCorrected)
    assert (event.old_outcome, event.outcome, event.corrected_by) == (outcome, right, "sam")
    after = done(result)
    absent = {"completed": None, "provider_missed": "provider", "member_no_show": "member"}[right]
    assert (after.status, after.absent_party, after.version) == (right, absent, session.version + 1)
    assert after.attendance == session.attendance
    assert names(correct(after, outcome, "sam", START + HOUR)) == ["OutcomeCorrected"]


@pytest.mark.rule("MISS-5")
def test_either_party_disputes_an_outcome_and_nothing_changes_by_that() -> None:
    session = ended("member_no_show")
    for party in ("member", "provider"):
        result = dispute(session, party, "i_was_there", START + HOUR)
        event = only_event(result)
        assert isinstance(event, OutcomeDisputed)
        assert (event.disputed_by, event.claim, event.outcome) == (party, "i_was_there", "member_no_show")
        assert replace(done(result), version=session.version) == session


@pytest.mark.rule("MISS-5")
def test_where_there_is_no_outcome_there_is_nothing_to_dispute_or_correct() -> None:
    for session in (requested(), reserved(), confirmed(), done(cancel(confirmed(), "member", False, NOW))):
        for result in (dispute(session, "member", "they_were_not", NOW), correct(session, "completed", "sam", NOW)):
            assert isinstance(result, Refusal)
            assert result.code == "no-outcome"


@pytest.mark.rule("MISS-5")
def test_the_credit_follows_the_correction() -> None:
    forfeited = done(answers.credit_settled(reserved(), "forfeited", "member_no_show", NOW))
    back = done(answers.credit_settled(forfeited, "returned", "corrected", NOW))
    assert back.credit == "returned"
    assert done(answers.credit_corrected(back, "spent")).credit == "spent"
    assert answers.credit_corrected(back, "returned").session is back


@pytest.mark.rule("CANC-2", "ROOM-3")
def test_a_session_that_is_called_off_costs_nothing_and_says_why() -> None:
    event = only_event(call_off(confirmed(), "provider", "time_off", START - HOUR))
    assert isinstance(event, SessionCancelled)
    assert (event.cancelled_by, event.cause, event.forfeits, event.was_confirmed) == (
        "provider",
        "time_off",
        False,
        True,
    )
    over = ended("completed")
    assert call_off(over, "provider", "time_off", START + HOUR).session is over


@pytest.mark.rule("BOOK-3")
@pytest.mark.parametrize(
    ("numbers", "field"),
    [
        ({"short_notice_hours": 24}, "short_notice_hours"),
        ({"confirm_hours": 26}, "short_notice_hours"),
        ({"no_show_minutes": 9}, "no_show_minutes"),
        ({"grace_minutes": 0}, "grace_minutes"),
        ({"decide_minutes": 8}, "hold_minutes"),
        ({"longest_minutes": 4}, "longest_minutes"),
        ({"reminder_hours": (1, 1)}, "reminder_hours"),
        ({"reminder_hours": (0,)}, "reminder_hours"),
        ({"reminder_hours": tuple(range(1, 10))}, "reminder_hours"),
        ({"horizon_days": 20_000}, "horizon_days"),
        ({"notice_hours": -1}, "notice_hours"),
    ],
)
def test_numbers_that_no_policy_can_have(numbers: dict[str, Any], field: str) -> None:
    fault = impossible(replace(STANDARD, **numbers))
    assert fault is not None
    assert fault[0] == field


@pytest.mark.rule("BOOK-3")
def test_the_standard_policy_and_its_neighbours_are_possible() -> None:
    assert impossible(STANDARD) is None
    assert impossible(replace(STANDARD, reminder_hours=(), notice_hours=0, no_show_minutes=10)) is None
