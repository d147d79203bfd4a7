"""What cancelling and moving cost the member (CANC-1, RESC-1, RESC-3, EXT-1)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.attendance import as_of, join, leave
from makegood_booking.domain.cancelling import cancel, forfeits_by_moving, forfeits_now, free_until
from makegood_booking.domain.rescheduling import RescheduleCommand, extend, reschedule
from makegood_booking.domain.session import Refusal, Session, Transition, was_present
from makegood_contracts.events import InvoiceWish, Party
from msgspec.structs import replace

from . import answers
from .examples import HOUR, MINUTE, NOW, START, attended, confirmed, done, only_event

TICK = timedelta(microseconds=1)
BEFORE = START - 10 * MINUTE
SOON = NOW + 3 * HOUR
INVOICE = InvoiceWish(amount_minor=2500, currency="USD", due_on=date(2026, 12, 24))


def moved_by_provider() -> Session:
    asked = done(reschedule(confirmed(), RescheduleCommand(SOON), "provider", "move", "therapy", NOW))
    return done(answers.slot_moved(done(answers.move_paid(asked, "move", None, NOW)), "move", NOW))


def invoiced(now: datetime, session: Session | None = None) -> Session:
    asked = done(extend(session or confirmed(), START + HOUR, INVOICE, "longer", now))
    return done(answers.slot_moved(asked, "longer", now))


def costs(session: Session, now: datetime) -> bool:
    """Whether cancelling does cost the member something: what is said and what is done are the same."""
    said = forfeits_now(as_of(session, now)[0], now)
    refused = cancel(session, "member", False, now)
    if isinstance(refused, Refusal):
        assert (refused.code, said) == ("forfeit-not-accepted", True)
        assert refused.free_until is not None
        assert refused.free_until < now or was_present(session, "member"), "who comes at the last moment ends it then"
        assert only_event(cancel(session, "member", True, now)).forfeits is True  # type: ignore[attr-defined]
        return True
    assert (refused.events[-1].forfeits, said) == (False, False)  # type: ignore[attr-defined]
    return False


@pytest.mark.rule("CANC-1")
def test_a_booking_cools_off_whatever_the_notice() -> None:
    session = confirmed(SOON)
    assert free_until(session, NOW) == NOW + 15 * MINUTE
    assert not costs(session, NOW + 15 * MINUTE)
    assert costs(session, NOW + 15 * MINUTE + TICK)
    assert free_until(session, NOW + HOUR) == NOW + 15 * MINUTE
    assert free_until(confirmed(), NOW) == START - 48 * HOUR, "the later of the two counts"


@pytest.mark.rule("CANC-1")
def test_how_long_a_booking_cools_off_is_the_policys() -> None:
    session = confirmed(SOON)
    for minutes in (0, 60):
        policy = replace(session.policy, cooling_off_minutes=minutes)
        other = replace(session, booked=replace(session.booked, policy=policy))
        assert costs(other, NOW + HOUR + TICK)
        assert costs(other, NOW + MINUTE) is (minutes == 0)


@pytest.mark.rule("CANC-1")
@pytest.mark.parametrize(("minutes", "until"), [(15, 10), (60, 15)])
def test_cooling_off_goes_on_after_the_start_for_a_member_who_has_not_come(minutes: int, until: int) -> None:
    session = confirmed(START, START - 5 * MINUTE)
    policy = replace(session.policy, cooling_off_minutes=minutes)
    session = done(join(replace(session, booked=replace(session.booked, policy=policy)), "provider", START - MINUTE))
    assert free_until(session, START) == START + until * MINUTE, "or until the no-show"
    assert not costs(session, START + 10 * MINUTE)
    assert minutes > 15 or costs(session, START + 10 * MINUTE + TICK)
    assert costs(done(join(session, "member", START)), START + MINUTE), "no session is had for nothing"


@pytest.mark.rule("CANC-1", "RESC-1")
def test_cooling_off_is_not_for_a_move() -> None:
    session = confirmed(SOON)
    assert (forfeits_now(session, NOW), forfeits_by_moving(session, NOW)) == (False, True)
    refused = reschedule(session, RescheduleCommand(START), "member", "move", "therapy", NOW)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.free_until) == ("forfeit-not-accepted", SOON - 48 * HOUR)
    asked = reschedule(session, RescheduleCommand(SOON + HOUR, accept_forfeit=True), "member", "move", "therapy", NOW)
    later = done(answers.slot_moved(done(answers.move_paid(done(asked), "move", "credit", NOW)), "move", NOW))
    assert not costs(later, NOW + 15 * MINUTE)
    assert costs(later, NOW + 15 * MINUTE + TICK), "the time runs from the booking, not from the move"


@pytest.mark.rule("CANC-1")
@pytest.mark.parametrize("member_came", [True, False])
def test_from_the_start_on_it_is_free_while_the_provider_is_not_there(member_came: bool) -> None:
    session = done(join(confirmed(), "member", BEFORE)) if member_came else confirmed()
    assert costs(session, START - TICK)
    for now in (START, START + 10 * MINUTE - TICK):
        assert not costs(session, now)
        assert free_until(session, now) == START + 10 * MINUTE
    there = done(join(session, "provider", START + MINUTE))
    assert costs(there, START + 2 * MINUTE)


@pytest.mark.rule("CANC-1")
def test_a_provider_who_came_and_left_before_they_met_is_not_there() -> None:
    session = done(join(confirmed(), "provider", BEFORE))
    assert costs(session, START)
    gone = done(leave(session, "provider", START + MINUTE))
    assert not costs(gone, START + 2 * MINUTE)
    assert costs(done(join(gone, "provider", START + 3 * MINUTE)), START + 4 * MINUTE)


@pytest.mark.rule("CANC-1")
def test_a_session_in_which_they_met_is_not_free_when_the_provider_drops_out() -> None:
    session = done(leave(attended("member", "provider"), "provider", START + 20 * MINUTE))
    assert costs(session, START + 25 * MINUTE)


@pytest.mark.rule("CANC-1", "JOIN-2")
def test_a_session_that_the_provider_left_again_at_once_is_free() -> None:
    for together, free in ((5 * MINUTE - TICK, True), (5 * MINUTE, False)):
        session = done(leave(attended("member", "provider"), "provider", START + together))
        assert costs(session, START + 10 * MINUTE) is not free


@pytest.mark.rule("CANC-1", "JOIN-2")
@pytest.mark.parametrize("member_waits", [True, False])
def test_whoever_dropped_out_first_it_is_free_while_the_provider_is_not_there(member_waits: bool) -> None:
    session = done(join(done(join(confirmed(), "provider", START - MINUTE)), "member", START))
    session = done(leave(session, "member", START + MINUTE))
    assert costs(session, START + MINUTE), "the provider is there"
    session = done(leave(session, "provider", START + 2 * MINUTE))
    if member_waits:
        session = done(join(session, "member", START + 3 * MINUTE))
    assert not costs(session, START + 20 * MINUTE)
    assert free_until(session, START + 20 * MINUTE) == session.booked.ends_at
    assert only_event(cancel(session, "member", False, START + 20 * MINUTE)).caused_by_provider  # type: ignore[attr-defined]
    back = done(join(session, "provider", START + 21 * MINUTE))
    assert costs(back, START + 22 * MINUTE)
    long = attended("member", "provider")
    for party, minute in (("member", 5), ("provider", 6)):
        long = done(leave(long, party, START + minute * MINUTE))  # type: ignore[arg-type]
    assert costs(long, START + 20 * MINUTE), "they were together for long enough"


@pytest.mark.rule("RESC-3", "CANC-1")
def test_what_the_provider_moved_is_free_whatever_the_notice_for_a_member_who_has_not_come() -> None:
    session = moved_by_provider()
    assert session.booked.starts_at == SOON
    assert free_until(session, NOW) == SOON
    there = done(join(session, "provider", SOON - MINUTE))
    for state in (session, there):
        for now in (NOW + HOUR, SOON - TICK, SOON, SOON + 9 * MINUTE):
            assert not costs(state, now)
    assert free_until(there, SOON + MINUTE) == SOON + 15 * MINUTE
    both = done(join(there, "member", SOON + MINUTE))
    assert costs(both, SOON + 2 * MINUTE), "no session is had for nothing"


@pytest.mark.rule("EXT-1", "CANC-1")
def test_an_invoice_before_the_session_began_lets_the_member_go_without_loss() -> None:
    late = START - HOUR
    session = invoiced(late)
    assert (free_until(session, late), forfeits_by_moving(session, late)) == (START, False)
    for now in (late, START - TICK):
        assert not costs(session, now)
    again = done(extend(session, START + 2 * HOUR, None, "again", late))
    assert not costs(done(answers.slot_moved(again, "again", late)), late)
    there = done(join(confirmed(), "provider", BEFORE))
    assert not costs(invoiced(START - TICK, there), START + MINUTE)
    assert costs(invoiced(START, there), START + MINUTE), "it had begun"
    without = done(extend(confirmed(), START + HOUR, None, "longer", late))
    assert costs(done(answers.slot_moved(without, "longer", late)), late), "no invoice, no charge to go from"


STEPS = st.lists(
    st.tuples(st.sampled_from(["member", "provider"]), st.sampled_from([join, leave]), st.integers(-10 * 60, 30 * 60)),
    max_size=6,
)


@pytest.mark.rule("CANC-1", "RESC-3", "EXT-1")
@given(steps=STEPS, at=st.integers(-3600, 30 * 60), favoured=st.booleans(), in_person=st.booleans())
def test_what_is_said_is_what_it_costs(
    steps: list[tuple[Party, object, int]], at: int, favoured: bool, in_person: bool
) -> None:
    where: dict[str, Any] = {"modality": "in_person", "venue_id": "room-4"} if in_person else {}
    session = replace(confirmed(**where), moved_by_provider=favoured)
    now = START + timedelta(seconds=at)
    for party, step, second in sorted(steps, key=lambda each: each[2]):
        moment = START + timedelta(seconds=second)
        result = step(session, party, moment) if moment <= now else None  # type: ignore[operator]
        session = result.session if isinstance(result, Transition) else session
    session = as_of(session, now)[0]
    if session.over or now >= session.booked.ends_at:
        return
    if costs(session, now):
        assert free_until(session, now) <= now
        return
    until = free_until(session, now)
    assert until >= now
    for moment in (now + (until - now) / 2, until - TICK):
        still = as_of(session, moment)[0]
        assert moment < now or still.over or not costs(still, moment), "free as long as was said"


@pytest.mark.rule("MISS-2")
def test_a_cancellation_says_whether_the_provider_brought_it_about() -> None:
    def said(session: Session, now: datetime, by: Party = "member") -> bool:
        return only_event(cancel(session, by, True, now)).caused_by_provider  # type: ignore[attr-defined, no-any-return]

    assert said(moved_by_provider(), NOW)
    assert said(invoiced(NOW), NOW)
    assert said(confirmed(), START), "nobody was there when it began"
    assert not said(confirmed(), NOW), "the member's own wish"
    assert not said(confirmed(SOON), NOW + HOUR), "and it cost the credit"
    assert not said(moved_by_provider(), NOW, "provider"), "that the provider cancels is said already"
