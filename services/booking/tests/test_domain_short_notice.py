"""A member who does not come to a session that the provider moved at short notice loses nothing (RESC-3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_booking.domain.attendance import confirm, join, mark_no_show, time_passed
from makegood_booking.domain.disputes import correct
from makegood_booking.domain.rescheduling import RescheduleCommand, reschedule
from makegood_booking.domain.session import Session, Transition
from makegood_contracts.events import MemberNoShow, OutcomeCorrected, Party

from . import answers
from .examples import HOUR, MINUTE, NOW, confirmed, done

TICK = timedelta(microseconds=1)


def moved(session: Session, by: Party, notice: timedelta, now: datetime = NOW) -> Session:
    """The session, moved at `now` to a start that is so far ahead, and confirmed."""
    asked = reschedule(session, RescheduleCommand(now + notice, accept_forfeit=True), by, "move", "therapy", now)
    after = done(answers.slot_moved(done(answers.move_paid(done(asked), "move", None, now)), "move", now))
    return done(confirm(after, now))


def no_show(session: Session, by_hand: bool = False) -> Transition:
    start = session.booked.starts_at
    waits = done(join(session, "provider", start))
    found = mark_no_show(waits, start + 10 * MINUTE) if by_hand else time_passed(waits, start + 15 * MINUTE)
    assert isinstance(found, Transition)
    assert (found.session.status, found.session.absent_party) == ("member_no_show", "member")
    return found


def forfeits(changed: Transition) -> bool:
    (told,) = [event for event in changed.events if isinstance(event, MemberNoShow)]
    return told.forfeits


@pytest.mark.rule("RESC-3", "NOSH-1")
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize(
    ("by", "notice", "costs"),
    [
        ("provider", 5 * MINUTE, False),
        ("provider", 48 * HOUR - TICK, False),
        ("provider", 48 * HOUR, True),
        ("member", 5 * MINUTE, True),
    ],
)
def test_the_notice_of_a_providers_move_decides_what_a_no_show_costs(
    by: Party, notice: timedelta, costs: bool, by_hand: bool
) -> None:
    assert forfeits(no_show(moved(confirmed(), by, notice), by_hand)) is costs


@pytest.mark.rule("RESC-3")
def test_without_a_move_a_no_show_costs_the_credit() -> None:
    assert forfeits(no_show(confirmed()))


@pytest.mark.rule("RESC-3")
def test_the_last_move_counts() -> None:
    soon = moved(confirmed(), "provider", HOUR)
    assert forfeits(no_show(moved(soon, "member", 2 * HOUR)))
    assert forfeits(no_show(moved(soon, "provider", 72 * HOUR)))
    assert not forfeits(no_show(moved(moved(confirmed(), "member", 3 * HOUR), "provider", 2 * HOUR)))


@pytest.mark.rule("RESC-3", "MISS-5")
def test_a_corrected_outcome_says_whether_a_no_show_would_cost_the_credit() -> None:
    for session, costs in ((moved(confirmed(), "provider", HOUR), False), (confirmed(), True)):
        missed = time_passed(session, session.booked.starts_at + 10 * MINUTE).session
        corrected = correct(missed, "member_no_show", "sam", missed.booked.starts_at + HOUR)
        assert isinstance(corrected, Transition)
        (told,) = corrected.events
        assert isinstance(told, OutcomeCorrected)
        assert told.no_show_forfeits is costs
