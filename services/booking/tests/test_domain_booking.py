"""From a request to a reservation or a refusal (BOOK)."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from makegood_booking.domain import booking
from makegood_booking.domain.attendance import next_due, time_passed
from makegood_booking.domain.booking import NOT_IN_TIME, InvalidField, invalid_field
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.session import CreditState, Session
from makegood_contracts.events import (
    SessionCancelled,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    SettleCause,
)
from makegood_contracts.reasons import Reason
from msgspec.structs import replace

from . import answers
from .examples import (
    HOUR,
    MINUTE,
    NOW,
    ROOM,
    START,
    booking_request,
    confirmed,
    done,
    names,
    only_event,
    requested,
    reserved,
)

TAKEN = Reason(code="slot-taken", detail="Another session takes that time.")
NO_CREDIT = Reason(code="no-session-credits", detail="No credit is left.")
NO_LENGTH = Reason(code="length-not-in-plan", detail="The plan does not include that length.")


@pytest.mark.rule("BOOK-1")
def test_a_request_asks_for_slot_and_credit_until_a_moment() -> None:
    event = only_event(booking.request_session("id", booking_request(), ROOM, "member", STANDARD, NOW))
    assert isinstance(event, SessionRequested)
    assert (event.hold_until, event.policy_version, event.session_version) == (NOW + 15 * MINUTE, 1, 1)
    assert (event.starts_at, event.ends_at) == (START, START + 30 * MINUTE)


@pytest.mark.rule("BOOK-1")
def test_the_session_is_reserved_once_both_are_held_in_either_order() -> None:
    first = answers.slot_held(requested(), NOW)
    assert names(first) == []
    one = answers.credit_held(done(first), False, NOW)
    assert names(one) == ["SessionReserved"]
    other = answers.slot_held(done(answers.credit_held(requested(), False, NOW)), NOW)
    assert names(other) == ["SessionReserved"]
    for result in (one, other):
        session = done(result)
        assert (session.status, session.slot, session.credit, session.version) == ("reserved", "held", "held", 2)


@pytest.mark.rule("BOOK-1")
def test_a_co_pay_holds_no_credit() -> None:
    session = reserved(co_pay=True)
    assert (session.status, session.credit, session.credit_settled) == ("reserved", "none", True)


@pytest.mark.rule("BOOK-1")
@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_a_refusal_waits_for_both_answers_and_names_every_reason_in_one_order(order: tuple[int, ...]) -> None:
    session = requested()
    steps = [
        lambda s: answers.slot_refused(s, [TAKEN], NOW),
        lambda s: answers.credit_refused(s, [NO_CREDIT, NO_LENGTH], True, NOW),
    ]
    waiting = steps[order[0]](session)
    assert (names(waiting), done(waiting).status) == ([], "requested")
    event = only_event(steps[order[1]](done(waiting)))
    assert isinstance(event, SessionRejected)
    assert event.reasons == [TAKEN, NO_CREDIT, NO_LENGTH]


@pytest.mark.rule("BOOK-4")
@pytest.mark.parametrize("purchasable", [True, False])
def test_without_a_credit_the_session_says_so_and_whether_one_can_be_purchased(purchasable: bool) -> None:
    held = done(answers.slot_held(requested(), NOW))
    session = done(answers.credit_refused(held, [NO_CREDIT], purchasable, NOW))
    assert (session.status, session.reasons[0].code, session.purchasable) == (
        "rejected",
        "no-session-credits",
        purchasable,
    )


@pytest.mark.rule("AVAIL-4", "BOOK-1")
def test_nothing_is_reserved_so_late_that_its_holds_may_have_lapsed_when_they_hear_of_it() -> None:
    assert STANDARD.decide_minutes < STANDARD.hold_minutes / 2
    held = done(answers.slot_held(requested(), NOW))
    last = answers.credit_held(held, False, NOW + 5 * MINUTE - timedelta(microseconds=1))
    assert names(last) == ["SessionReserved"]
    event = only_event(answers.credit_held(held, False, NOW + 5 * MINUTE))
    assert isinstance(event, SessionRejected)
    assert event.reasons == [NOT_IN_TIME]


@pytest.mark.rule("BOOK-1", "CONF-2")
def test_nothing_is_reserved_at_its_start_only_to_expire_at_once() -> None:
    start = NOW + 2 * MINUTE
    held = done(answers.slot_held(requested(start), NOW))
    assert names(answers.credit_held(held, False, start - timedelta(microseconds=1))) == ["SessionReserved"]
    late = answers.credit_held(held, False, start)
    event = only_event(late)
    assert isinstance(event, SessionRejected)
    assert [reason.code for reason in event.reasons] == ["temporary-interruption"]
    assert next_due(held) == start
    assert names(time_passed(held, start)) == ["SessionRejected"]


@pytest.mark.rule("BOOK-9")
def test_an_answer_that_comes_again_changes_nothing() -> None:
    session = reserved()
    assert answers.slot_held(session, NOW).session is session
    assert answers.slot_refused(session, [TAKEN], NOW).session is session
    assert answers.credit_held(session, False, NOW).session is session
    assert answers.credit_refused(session, [NO_CREDIT], True, NOW).session is session


@pytest.mark.rule("CRED-3")
def test_a_credit_that_was_settled_before_its_hold_was_heard_of_stays_settled() -> None:
    rejected = done(booking.not_decided_in_time(requested()))
    returned = done(answers.credit_settled(rejected, "returned", "rejected", NOW))
    late = done(answers.credit_held(returned, False, NOW))
    assert (late.credit, late.credit_settled, late.status) == ("returned", True, "rejected")


@pytest.mark.rule("CRED-3", "MISS-5")
@pytest.mark.parametrize(("state", "cause"), [("forfeited", "cancelled"), ("spent", None)])
def test_a_credit_is_settled_once_but_support_can_return_what_was_taken(
    state: CreditState, cause: SettleCause | None
) -> None:
    taken = done(answers.credit_settled(reserved(), state, cause, NOW))
    assert answers.credit_settled(taken, "returned", "cancelled", NOW).session is taken
    returned = done(answers.credit_settled(taken, "returned", "support", NOW))
    assert returned.credit == "returned"
    assert answers.credit_settled(returned, state, cause, NOW).session is returned


@pytest.mark.rule("AVAIL-4")
@pytest.mark.parametrize("session", [reserved(), confirmed()], ids=["reserved", "confirmed"])
def test_a_session_that_loses_its_slot_is_cancelled_by_the_platform_without_loss(session: Session) -> None:
    event = only_event(answers.slot_lapsed(session, NOW))
    assert isinstance(event, SessionCancelled)
    assert (event.cancelled_by, event.forfeits) == ("system", False)
    assert event.was_confirmed is (session.status == "confirmed")
    assert names(answers.credit_settled(session, "returned", "lapsed", NOW)) == ["SessionCancelled"]


@pytest.mark.rule("AVAIL-4")
def test_a_hold_that_lapsed_before_the_other_answer_came_rejects() -> None:
    session = done(answers.slot_lapsed(done(answers.slot_held(requested(), NOW)), NOW))
    assert session.status == "requested"
    assert names(answers.credit_held(session, False, NOW)) == ["SessionRejected"]


@pytest.mark.rule("AVAIL-4")
def test_a_co_pay_that_lapsed_ends_the_session_without_loss_and_an_undecided_booking_is_refused() -> None:
    for session in (reserved(co_pay=True), confirmed(co_pay=True)):
        event = only_event(answers.co_pay_lapsed(session, NOW))
        assert isinstance(event, SessionCancelled)
        assert (event.cancelled_by, event.forfeits) == ("system", False)
    for undecided in (requested(), done(answers.credit_held(requested(), True, NOW))):
        refused = only_event(answers.co_pay_lapsed(undecided, NOW))
        assert isinstance(refused, SessionRejected)
        assert refused.reasons == [NOT_IN_TIME]
        rejected = done(answers.co_pay_lapsed(undecided, NOW))
        assert names(answers.co_pay_lapsed(rejected, NOW)) == []
        assert names(answers.credit_held(done(answers.slot_held(rejected, NOW)), True, NOW)) == []


@pytest.mark.rule("CONF-2")
@pytest.mark.parametrize(
    ("ahead", "by_start", "by_request"),
    [
        (timedelta(days=4), -24 * HOUR, None),
        (26 * HOUR, -24 * HOUR, 2 * HOUR),
        (26 * HOUR - MINUTE, None, 2 * HOUR),
        (3 * HOUR, None, 2 * HOUR),
        (2 * HOUR, timedelta(), 2 * HOUR),
        (HOUR, timedelta(), None),
        (MINUTE, timedelta(), None),
    ],
)
def test_the_deadline_to_confirm(ahead: timedelta, by_start: timedelta | None, by_request: timedelta | None) -> None:
    session = reserved(NOW + ahead)
    assert session.confirm_by is not None
    if by_start is not None:
        assert session.confirm_by == NOW + ahead + by_start
    if by_request is not None:
        assert session.confirm_by == NOW + by_request
    decided_late = answers.credit_held(
        done(answers.slot_held(requested(NOW + ahead), NOW)), False, NOW + timedelta(seconds=30)
    )
    event = only_event(decided_late)
    assert isinstance(event, SessionReserved)
    assert event.confirm_by == session.confirm_by


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (booking_request(NOW), "starts_at"),
        (booking_request(NOW - MINUTE), "starts_at"),
        (booking_request(NOW + timedelta(days=366, minutes=1)), "starts_at"),
        (booking_request(length_minutes=4), "length_minutes"),
        (booking_request(length_minutes=481), "length_minutes"),
        (booking_request(time_zone="Mars/Olympus"), "time_zone"),
        (booking_request(modality="in_person"), "venue_id"),
        (booking_request(modality="video", venue_id="v"), "venue_id"),
    ],
)
@pytest.mark.rule("BOOK-1")
def test_what_nobody_can_book(bad: booking.BookingRequest, field: str) -> None:
    fault = invalid_field(bad, STANDARD, NOW)
    assert isinstance(fault, InvalidField)
    assert fault.field == field


@pytest.mark.rule("BOOK-1")
@pytest.mark.parametrize(
    "good",
    [
        booking_request(NOW + timedelta(seconds=1)),
        booking_request(NOW + timedelta(days=366)),
        booking_request(length_minutes=5),
        booking_request(length_minutes=480),
        booking_request(modality="in_person", venue_id="v"),
        booking_request(modality="chat"),
    ],
)
def test_what_may_be_asked_for(good: booking.BookingRequest) -> None:
    assert invalid_field(good, STANDARD, NOW) is None


@pytest.mark.rule("BOOK-3")
def test_the_text_of_the_policy_follows_its_numbers() -> None:
    assert "48 hours" in STANDARD.text
    assert "1 hour or more" in replace(STANDARD, notice_hours=1).text
