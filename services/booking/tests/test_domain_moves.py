"""Moves and extensions (RESC, EXT)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from makegood_booking.domain import moves
from makegood_booking.domain.attendance import confirm, join, next_due, time_passed
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.cancelling import cancel, forfeits_now, free_until
from makegood_booking.domain.rescheduling import RescheduleCommand, extend, reschedule
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_contracts.events import (
    InvoiceWish,
    Party,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
)
from makegood_contracts.reasons import Reason
from msgspec.structs import replace

from . import answers
from .examples import (
    HOUR,
    MINUTE,
    NOW,
    START,
    confirmed,
    done,
    names,
    only_event,
    requested,
    reserved,
    without_version,
)

TICK = timedelta(microseconds=1)
NEW = START + 24 * HOUR
TAKEN = Reason(code="slot-taken", detail="Another session takes that time.")
NO_VENUE = Reason(code="venue-taken", detail="The venue is closed at that time.")
BUSY = Reason(code="member-busy", detail="The member is not available at that time.")
NO_CREDIT = Reason(code="no-session-credits", detail="No credit is left.")


def asked(session: Session, by: Party = "member", now: Any = NOW, **changes: Any) -> Any:
    return reschedule(session, RescheduleCommand(**{"starts_at": NEW, **changes}), by, "move", "psychiatry", now)


def moved(session: Session, by: Party = "member", now: Any = NOW, **changes: Any) -> Session:
    funded = answers.move_paid(done(asked(session, by, now, **changes)), "move", None, now)
    return done(answers.slot_moved(done(funded), "move", now))


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.rule("RESC-1")
def test_a_move_asks_for_its_credit_then_for_its_slot_and_keeps_the_session_until_both_are_there() -> None:
    session = confirmed()
    first = asked(session, length_minutes=45)
    event = only_event(first)
    assert isinstance(event, SessionMoveRequested)
    assert (event.starts_at, event.new_starts_at, event.new_ends_at) == (START, NEW, NEW + 45 * MINUTE)
    assert (event.move_id, event.forfeits, event.specialty) == ("move", False, "psychiatry")
    assert event.decide_by == NOW + 5 * MINUTE
    second = answers.move_paid(done(first), "move", None, NOW)
    assert isinstance(only_event(second), SessionMoveFunded)
    for waiting in (done(first), done(second)):
        assert (waiting.booked, waiting.status, waiting.confirm_by) == (
            session.booked,
            session.status,
            session.confirm_by,
        )
    third = answers.slot_moved(done(second), "move", NOW + MINUTE)
    event = only_event(third)
    assert isinstance(event, SessionMoved)
    assert (event.starts_at, event.ends_at, event.length_minutes) == (NEW, NEW + 45 * MINUTE, 45)
    assert (event.old_starts_at, event.old_ends_at) == (START, START + 30 * MINUTE)
    assert (event.moved_by, event.moved_at, event.forfeits) == ("member", NOW + MINUTE, False)
    after = done(third)
    assert (after.id, after.booked.starts_at, after.move) == (session.id, NEW, None)


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize("who", ["credits", "availability", "nobody"])
def test_a_refused_move_leaves_everything_as_it_was(who: str) -> None:
    session = confirmed()
    pending = done(asked(session))
    if who == "credits":
        result = answers.move_unpaid(pending, "move", [NO_CREDIT], True)
    elif who == "availability":
        result = answers.slot_stays(done(answers.move_paid(pending, "move", "credit", NOW)), "move", [TAKEN])
    else:
        assert next_due(pending) == NOW + 5 * MINUTE
        assert time_passed(pending, NOW + 5 * MINUTE - TICK).session is pending
        result = time_passed(pending, NOW + 5 * MINUTE)
    event = only_event(result)
    assert isinstance(event, SessionMoveRefused)
    assert [reason.code for reason in event.reasons] == [
        {"credits": "no-session-credits", "availability": "slot-taken", "nobody": "temporary-interruption"}[who]
    ]
    after = done(result)
    assert after.move is not None
    assert (after.move.state, after.move.purchasable) == ("refused", True if who == "credits" else None)
    assert without_version(replace(after, move=None)) == without_version(session)
    assert isinstance(asked(after), Transition), "another one may be asked for"


@pytest.mark.rule("RESC-1")
def test_answers_that_come_late_twice_or_of_another_move_change_nothing() -> None:
    session = confirmed()
    pending = done(asked(session))
    funded = done(answers.move_paid(pending, "move", None, NOW))
    refused = done(answers.slot_stays(funded, "move", [TAKEN]))
    there = done(answers.slot_moved(funded, "move", NOW))
    for state in (session, refused, there):
        assert answers.move_paid(state, "move", "credit", NOW).session is state
        assert answers.move_unpaid(state, "move", [NO_CREDIT], False).session is state
        assert answers.slot_moved(state, "move", NOW).session is state
        assert answers.slot_stays(state, "move", [TAKEN]).session is state
    assert answers.move_paid(funded, "move", None, NOW).session is funded
    assert answers.move_unpaid(funded, "move", [NO_CREDIT], False).session is funded
    for state in (pending, funded):
        assert answers.move_paid(state, "other", None, NOW).session is state
        assert answers.slot_moved(state, "other", NOW).session is state
        assert answers.slot_stays(state, "other", [TAKEN]).session is state
    assert answers.slot_moved(pending, "move", NOW).session is pending, "not before it is paid for"


@pytest.mark.rule("RESC-1")
def test_once_paid_for_only_availability_decides_and_a_late_credit_decides_nothing() -> None:
    pending = done(asked(confirmed()))
    late = answers.move_paid(pending, "move", "credit", NOW + 5 * MINUTE)
    assert names(late) == ["SessionMoveRefused"]
    funded = done(answers.move_paid(pending, "move", None, NOW))
    assert time_passed(funded, NOW + HOUR).session is funded
    assert names(answers.slot_moved(funded, "move", NOW + HOUR)) == ["SessionMoved"]


@pytest.mark.rule("RESC-1")
def test_one_move_at_a_time_and_none_to_where_the_session_is() -> None:
    pending = done(asked(confirmed()))
    assert code(asked(pending, "provider", starts_at=NEW + HOUR)) == "move-pending"
    assert code(extend(pending, START + HOUR, None, "other", NOW)) == "move-pending"
    session = confirmed()
    assert asked(session, starts_at=START) == Transition(session)


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"starts_at": NOW}, "starts_at"),
        ({"starts_at": NOW + timedelta(days=367)}, "starts_at"),
        ({"length_minutes": 481}, "length_minutes"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"venue_id": "venue"}, "venue_id"),
    ],
)
def test_where_nobody_can_move_to(changes: dict[str, Any], field: str) -> None:
    fault = asked(confirmed(), **changes)
    assert isinstance(fault, InvalidField)
    assert fault.field == field


@pytest.mark.rule("RESC-1")
def test_only_what_stands_and_has_not_begun_is_moved() -> None:
    assert code(asked(requested())) == "not-confirmed"
    assert code(asked(done(cancel(confirmed(), "member", False, NOW)))) == "session-over"
    assert code(asked(confirmed(), "provider", START)) == "session-over"
    assert names(asked(confirmed(), "provider", START - TICK)) == ["SessionMoveRequested"]
    assert names(asked(reserved())) == ["SessionMoveRequested"]


@pytest.mark.rule("RESC-1")
def test_no_move_is_carried_out_after_one_of_the_two_starts() -> None:
    assert done(asked(confirmed(), "provider", START - MINUTE)).move.decide_by == START  # type: ignore[union-attr]
    soon = done(asked(confirmed(), starts_at=NOW + 2 * MINUTE))
    assert soon.move is not None
    assert soon.move.decide_by == NOW + 2 * MINUTE


@pytest.mark.rule("RESC-1", "CANC-1")
@pytest.mark.parametrize(("notice", "forfeits"), [(48 * HOUR, False), (48 * HOUR - TICK, True)])
def test_with_less_notice_the_member_accepts_the_forfeit_as_with_cancelling(notice: timedelta, forfeits: bool) -> None:
    session, now = confirmed(), START - notice
    if forfeits:
        assert code(asked(session, now=now)) == "forfeit-not-accepted"
    event = only_event(asked(session, now=now, accept_forfeit=True))
    assert isinstance(event, SessionMoveRequested)
    assert event.forfeits is forfeits
    by_provider = only_event(asked(session, "provider", now=now))
    assert isinstance(by_provider, SessionMoveRequested)
    assert by_provider.forfeits is False
    told = only_event(answers.slot_moved(_funded(session, now), "move", now))
    assert isinstance(told, SessionMoved)
    assert told.forfeits is forfeits


def _funded(session: Session, now: Any) -> Session:
    return done(answers.move_paid(done(asked(session, now=now, accept_forfeit=True)), "move", "credit", now))


@pytest.mark.rule("RESC-1")
def test_an_added_hold_takes_the_place_of_the_old_one_whose_end_is_not_the_sessions() -> None:
    after = done(answers.slot_moved(_funded(confirmed(), START - HOUR), "move", START - HOUR))
    assert (after.funding, after.credit) == ("credit", "held")
    for state in ("forfeited", "returned"):
        assert answers.credit_settled(after, state, "moved", NOW).session is after
    assert done(answers.credit_settled(after, "spent", None, NOW)).credit == "spent"
    co_pay = done(answers.move_paid(done(asked(confirmed())), "move", "co_pay", NOW))
    after = done(answers.slot_moved(co_pay, "move", NOW))
    assert (after.funding, after.credit) == ("co_pay", "none")


@pytest.mark.rule("RESC-1", "CONF-2")
def test_a_members_move_needs_the_providers_word_again_and_a_providers_does_not() -> None:
    mine = moved(confirmed())
    assert (mine.status, mine.confirm_by, mine.reconfirmation) == ("reserved", NEW - 24 * HOUR, None)
    soon = moved(confirmed(), starts_at=NOW + 3 * HOUR)
    assert soon.confirm_by == NOW + 2 * HOUR
    theirs = moved(confirmed(), "provider")
    assert (theirs.status, theirs.reconfirmation) == ("confirmed", "due")
    asked_on_time = [
        moved(confirmed(), "provider", NEW - 48 * HOUR - early).reconfirmation for early in (TICK, 0 * TICK)
    ]
    assert asked_on_time == ["due", None]
    for by in ("member", "provider"):
        unconfirmed = moved(reserved(), by)
        assert (unconfirmed.status, unconfirmed.confirm_by) == ("reserved", NEW - 24 * HOUR)


@pytest.mark.rule("RESC-1", "REM-1")
def test_reminders_follow_a_move_that_stays_confirmed() -> None:
    pending = done(asked(confirmed(), "provider"))
    event = only_event(answers.slot_moved(done(answers.move_paid(pending, "move", None, NOW)), "move", NOW))
    assert isinstance(event, SessionMoved)
    assert (event.confirmed, event.confirm_by, event.remind_at) == (True, None, (NEW - 24 * HOUR, NEW - HOUR))
    by_member = moved(confirmed())
    again = only_event(confirm(by_member, NOW))
    assert again.remind_at == (NEW - 24 * HOUR, NEW - HOUR)  # type: ignore[attr-defined]


@pytest.mark.rule("RESC-3")
def test_after_a_providers_move_the_member_cancels_or_moves_without_loss_until_moving_by_themselves() -> None:
    session = replace(moved(confirmed(), "provider"), reconfirmation="given")
    late = NEW - MINUTE
    assert (forfeits_now(session, late), free_until(session, late)) == (False, NEW)
    cancelled = only_event(cancel(session, "member", False, late))
    assert cancelled.forfeits is False  # type: ignore[attr-defined]
    event = only_event(asked(session, now=late, starts_at=NEW + HOUR))
    assert isinstance(event, SessionMoveRequested)
    assert event.forfeits is False
    own = moved(session, now=late, starts_at=NEW + HOUR)
    assert forfeits_now(own, late) is True
    assert free_until(own, late) == NEW + HOUR - 48 * HOUR
    by_provider_again = moved(own, "provider", late, starts_at=NEW + 2 * HOUR)
    assert forfeits_now(by_provider_again, late) is False


@pytest.mark.rule("RESC-3", "EXT-1", "MISS-2")
def test_a_members_move_says_whether_the_provider_brought_it_about() -> None:
    def said(session: Session, by: Party = "member", now: Any = NOW) -> bool:
        pending = asked(session, by, now, starts_at=NEW + HOUR, accept_forfeit=True)
        funded = answers.move_paid(done(pending), "move", None, now)
        there = answers.slot_moved(done(funded), "move", now)
        (answer,) = {only_event(each).caused_by_provider for each in (pending, funded, there)}  # type: ignore[attr-defined]
        return bool(answer)

    invoice = InvoiceWish(amount_minor=60_000, currency="USD", due_on=date(2026, 12, 24))
    invoiced = done(answers.slot_moved(done(extend(confirmed(), START + HOUR, invoice, "e", NOW)), "e", NOW))
    for session in (replace(moved(confirmed(), "provider"), reconfirmation=None), invoiced):
        assert said(session)
        assert said(session, now=START - TICK), "as its cancelling would be, whatever the notice"
        assert not said(session, "provider"), "that the provider moves is said already"
    assert not said(confirmed()), "the member's own wish"
    assert not said(confirmed(), now=START - HOUR), "and it cost the credit"


@pytest.mark.rule("RESC-1", "CANC-1", "MISS-1")
def test_an_ending_ends_the_move_and_a_slot_that_was_moved_before_changes_no_ending() -> None:
    funded = done(answers.move_paid(done(asked(confirmed())), "move", "credit", NOW))
    for ended in (
        done(cancel(funded, "member", True, NOW)),
        done(cancel(funded, "provider", False, NOW)),
        done(time_passed(funded, START + 10 * MINUTE)),
    ):
        assert (ended.over, ended.move) == (True, None)
        assert answers.slot_moved(ended, "move", NOW).session is ended
        assert answers.slot_stays(ended, "move", [TAKEN]).session is ended
    waiting = done(asked(reserved(NOW + 60 * HOUR), "provider", NOW + 36 * HOUR - MINUTE))
    assert names(time_passed(waiting, NOW + 36 * HOUR)) == ["SessionExpired"]


@pytest.mark.rule("RESC-1", "JOIN-1")
def test_who_had_come_before_the_session_was_moved_comes_again() -> None:
    pending = done(asked(confirmed(), "provider", START - 5 * MINUTE, starts_at=START + HOUR))
    there = done(join(done(join(pending, "member", START - MINUTE)), "provider", START - MINUTE))
    funded = done(answers.move_paid(there, "move", None, START - MINUTE))
    after = done(answers.slot_moved(funded, "move", START - MINUTE))
    assert (after.status, after.attendance.met, after.booked.starts_at) == ("confirmed", False, START + HOUR)
    begun = done(time_passed(funded, START))
    assert begun.status == "in_session"
    assert done(answers.slot_moved(begun, "move", START)).status == "confirmed"


@pytest.mark.rule("RESC-2")
@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ([TAKEN], "Provider is not available"),
        ([NO_VENUE], "Venue is not available"),
        ([NO_VENUE, TAKEN], "Provider is not available"),
        ([BUSY], "Member is not available"),
        ([NO_VENUE, BUSY], "Venue is not available"),
        ([NO_CREDIT], None),
    ],
)
def test_a_refused_move_says_so_in_the_words_that_providers_know(reasons: list[Reason], words: str | None) -> None:
    assert moves.answer_in_words(reasons) == words


@pytest.mark.rule("EXT-1", "RESC-1", "MISS-4")
def test_what_extensions_added_is_told_apart_from_the_length_that_was_booked() -> None:
    longer = confirmed()
    for minutes in (45, 60):
        longer = done(extend(longer, START + minutes * MINUTE, None, "move", NOW))
        longer = done(answers.slot_moved(longer, "move", NOW))
    assert (longer.booked.length_minutes, longer.extended_minutes) == (60, 30)
    missed = only_event(time_passed(longer, START + 10 * MINUTE))
    assert missed.length_minutes - missed.extended_minutes == 30  # type: ignore[attr-defined]
    asks = only_event(asked(longer))
    assert (asks.new_length_minutes, asks.length_minutes, asks.extended_minutes) == (60, 60, 30)  # type: ignore[attr-defined]
    assert moved(longer).extended_minutes == 30
    assert moved(longer, length_minutes=45).extended_minutes == 0


@pytest.mark.rule("EXT-1", "RESC-1")
def test_a_move_to_another_length_drops_the_extension_with_its_invoice_and_the_way_out() -> None:
    invoice = InvoiceWish(amount_minor=60_000, currency="USD", due_on=date(2026, 12, 24))
    pending = done(extend(confirmed(), START + HOUR, invoice, "longer", NOW))
    longer = done(answers.slot_moved(pending, "longer", NOW))
    kept = moved(longer)
    assert (kept.invoiced_minor, kept.invoiced_early, kept.extended_minutes) == (60_000, True, 30)
    for length in (30, 45):
        back = moved(longer, length_minutes=length)
        assert (back.invoiced_minor, back.invoiced_early, back.extended_minutes) == (0, False, 0)
        late = NEW - HOUR
        assert forfeits_now(back, late), "nothing is charged any more, so there is nothing to go from"
        again = extend(done(confirm(back, NOW)), NEW + HOUR, invoice, "again", NOW)
        assert names(again) == ["SessionExtensionRequested"], "what is void does not count towards the limit"
