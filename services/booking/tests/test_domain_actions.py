"""What a reader is told of an action is what its rule does, whatever has become of the session (BOOK-10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from makegood_booking.api.reason_models import ActionView
from makegood_booking.domain import attendance, booking, cancelling, disputes, moves, rescheduling
from makegood_booking.domain.actions import _ENDED, GUARDS, Action, Reader, actions
from makegood_booking.domain.in_person import say_outcome
from makegood_booking.domain.rescheduling import RescheduleCommand, extend, reschedule
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_chassis.http.answers import json_bytes
from makegood_plans.plans import Costs, Money
from msgspec.structs import replace

from . import answers
from .examples import HOUR, MINUTE, NOW, START, requested

CO_PAY = Money(2500, "USD")
READERS: list[Any] = list(get_args(Reader))
PARTIES: list[Any] = ["member", "provider"]


def told(session: Session, reader: Any, now: Any) -> dict[str, Action]:
    return {action.action: action for action in actions(session, reader, now)}


def reserved(*, co_pay: bool = False) -> Session:
    session = answers.slot_held(requested(START), NOW).session
    return answers.credit_held(session, co_pay, NOW, amount=CO_PAY if co_pay else None).session


def confirmed(*, co_pay: bool = False) -> Session:
    return done(attendance.confirm(reserved(co_pay=co_pay), NOW))


def in_person() -> Session:
    session = confirmed()
    return replace(session, booked=replace(session.booked, modality="in_person", venue_id="room-4"))


def done(result: Any) -> Session:
    assert isinstance(result, Transition), result
    return result.session


steps = st.lists(
    st.tuples(
        st.sampled_from(["confirm", "decline", "cancel", "join", "leave", "no-show", "move", "refused", "dispute"]),
        st.sampled_from(PARTIES),
        st.sampled_from([0, 1, 5, 10, 15, 16, 60, 24 * 60, 25 * 60, 48 * 60, 95 * 60]),
    ),
    max_size=6,
)


def after(session: Session, way: list[tuple[str, Any, int]]) -> tuple[Session, Any]:
    now = NOW
    for what, party, minutes in way:
        now += minutes * MINUTE
        match what:
            case "confirm":
                result: Any = attendance.confirm(session, now)
            case "decline":
                result = attendance.decline(session, now)
            case "cancel":
                result = cancelling.cancel(session, party, True, now) if minutes == 60 else Transition(session)
            case "join":
                result = attendance.join(session, party, now)
            case "leave":
                result = attendance.leave(session, party, now)
            case "no-show":
                result = attendance.mark_no_show(session, now)
            case "refused":
                result = answers.slot_refused(session, [], now)
            case "move":
                command = RescheduleCommand(session.booked.starts_at + HOUR, accept_forfeit=True)
                result = reschedule(session, command, party, "move", "therapy", now)
            case _:
                result = disputes.dispute(session, party, "i_was_there", now)
        if isinstance(result, Transition):
            session = result.session
    return session, now


kinds = [requested(START), reserved(), confirmed(), confirmed(co_pay=True), in_person()]
sessions = st.builds(after, st.sampled_from(kinds), steps)
moments = st.one_of(
    st.integers(0, 5 * 24 * 60).map(lambda minutes: NOW + minutes * MINUTE),
    st.integers(-60, 60).map(lambda minutes: START + minutes * MINUTE),
    st.integers(-60, 60).map(lambda minutes: START - 48 * HOUR + minutes * MINUTE),
    st.integers(-2, 2).map(lambda minutes: START + timedelta(days=30) + minutes * MINUTE),
)


def command(name: str, reader: Any, session: Session, now: Any, accept: bool) -> Any:
    """The rule as the command's route calls it, written once more."""
    match name:
        case "confirm":
            return attendance.confirm(session, now)
        case "decline":
            return attendance.decline(session, now)
        case "cancel":
            return cancelling.cancel(session, reader, accept, now)
        case "reschedule":
            starts_at = max(session.booked.starts_at, now) + 7 * MINUTE
            return reschedule(
                session, RescheduleCommand(starts_at, accept_forfeit=accept), reader, "id", "therapy", now
            )
        case "extend":
            return extend(session, session.booked.ends_at + 5 * MINUTE, None, "id", now)
        case "join":
            return attendance.join(session, reader, now)
        case "leave":
            return attendance.leave(session, reader, now)
        case "no-show":
            return attendance.mark_no_show(session, now)
        case "outcome":
            return say_outcome(session, "completed", now)
        case "dispute":
            return disputes.dispute(session, reader, "they_were_not", now)
        case "correct":
            return disputes.correct(session, "completed", "sam", now)
    raise AssertionError(name)


@pytest.mark.rule("BOOK-10")
@given(sessions, st.sampled_from(READERS), moments)
def test_what_is_told_allowed_succeeds_and_what_is_told_refused_is_refused_for_that_reason(
    found: tuple[Session, Any], reader: Any, moment: Any
) -> None:
    session, now = found[0], max(found[1], moment)
    for action in actions(session, reader, now):
        if action.reason == "support-may-not" or action.action == "rebook":  # see test_domain_rebooking
            continue
        result = command(action.action, reader, session, now, accept=False)
        if action.costs is not None:
            assert isinstance(result, Refusal)
            assert result.code == "forfeit-not-accepted"
            result = command(action.action, reader, session, now, accept=True)
        if action.allowed:
            assert isinstance(result, Transition), action
            assert action.reason is None
        else:
            assert isinstance(result, Refusal), action
            assert result.code == action.reason
    names = {action.action for action in actions(session, reader, now)}
    for name in GUARDS[reader].keys() - names - {"outcome"}:  # what was done already is no button
        again = command(name, reader, session, now, accept=True)
        assert isinstance(again, Transition)
        assert again.session.version == attendance.as_of(session, now)[0].version


@pytest.mark.rule("BOOK-10")
@given(sessions, st.sampled_from(READERS), moments, st.integers(0, 3 * 24 * 60))
@example((confirmed(), NOW), "member", START - 11 * MINUTE, 60)
def test_nothing_opens_before_the_moment_told_and_nothing_is_as_cheap_after_the_last_one(
    found: tuple[Session, Any], reader: Any, moment: Any, later: int
) -> None:
    session, now = found[0], max(found[1], moment)
    then = now + later * MINUTE
    after_it = told(session, reader, then)
    for name, action in told(session, reader, now).items():
        other = after_it.get(name)
        if action.opens is not None and then < action.opens:
            assert other is not None
            assert not other.allowed
        if action.until is not None and then > action.until:
            assert other is None or not other.allowed or (action.costs is None and other.costs is not None)


@given(sessions, st.sampled_from(READERS), moments)
def test_an_action_is_encoded_as_its_model_declares(found: tuple[Session, Any], reader: Any, moment: Any) -> None:
    session, now = found[0], max(found[1], moment)
    for action in actions(session, reader, now):
        encoded = json_bytes(action)
        assert json_bytes(ActionView.model_validate_json(encoded)) == encoded


@pytest.mark.rule("BOOK-10")
def test_the_buttons_of_a_confirmed_session() -> None:
    session = confirmed()
    member = told(session, "member", NOW)
    assert member["cancel"] == Action("cancel", True, until=START - 48 * HOUR)
    assert member["reschedule"] == Action("reschedule", True, until=START - 48 * HOUR)
    assert member["join"] == Action("join", False, opens=START - 10 * MINUTE, reason="too-early-to-join")
    assert not member["dispute"].allowed
    late = told(session, "member", START - 47 * HOUR)
    assert late["cancel"] == Action("cancel", True, until=session.booked.ends_at, costs=Costs(credit=1))
    assert late["reschedule"] == Action("reschedule", True, until=START, costs=Costs(credit=1))
    dear = told(confirmed(co_pay=True), "member", START - 47 * HOUR)
    assert dear["cancel"].costs == Costs(amount=CO_PAY)
    provider = told(session, "provider", START - 47 * HOUR)
    assert "confirm" in provider
    assert provider["cancel"].costs is None
    assert provider["no-show"] == Action("no-show", False, opens=START + 10 * MINUTE, reason="no-show-not-possible")
    assert told(session, "support", NOW)["cancel"] == Action("cancel", False, reason="support-may-not")


@pytest.mark.rule("BOOK-10")
def test_until_when_each_button_is_good() -> None:
    end, there = START + 30 * MINUTE, done(attendance.join(confirmed(), "provider", START - MINUTE))
    asked_again = replace(confirmed(), reconfirmation="asked")
    expected: list[tuple[Session, Any, Any, str, Any]] = [
        (reserved(), "provider", NOW, "confirm", START - 24 * HOUR),
        (reserved(), "provider", NOW, "decline", START - 24 * HOUR),
        (asked_again, "provider", NOW, "confirm", START),
        (confirmed(), "provider", NOW, "cancel", end),
        (confirmed(), "provider", NOW, "reschedule", START),
        (confirmed(), "provider", NOW, "extend", end),
        (confirmed(), "member", START - 10 * MINUTE, "join", end),
        (there, "provider", START + 10 * MINUTE, "no-show", START + 15 * MINUTE),
        (requested(START), "member", NOW, "cancel", None),
        (there, "provider", START, "leave", None),
    ]
    for session, reader, now, name, until in expected:
        assert told(session, reader, now)[name] == Action(name, True, until=until)  # type: ignore[arg-type]
    both = done(attendance.join(there, "member", START))
    never = Action("no-show", False, reason="no-show-not-possible")
    assert told(both, "provider", START + 10 * MINUTE)["no-show"] == never, "waiting longer does not help"


@pytest.mark.rule("BOOK-10")
def test_the_guards_build_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are shown often: what only a command needs is not made for the buttons."""

    def built(*_args: Any, **_facts: Any) -> Any:
        raise AssertionError("an event was built")

    shown = [
        *kinds,
        done(attendance.join(confirmed(), "provider", START)),
        replace(confirmed(), status="provider_missed"),
        replace(confirmed(), status="completed"),
    ]
    as_they_are = [(attendance.as_of(session, now)[0], now) for session in shown for now in (NOW, START - HOUR)]
    for module in (attendance, booking, cancelling, disputes, moves, rescheduling):
        monkeypatch.setattr(module, "happened", built)
    for session, now in as_they_are:
        for reader in READERS:
            actions(session, reader, now)


def test_a_session_as_long_as_it_can_get_is_extended_no_further() -> None:
    session = confirmed()
    longest = replace(
        session.booked,
        length_minutes=480,
        ends_at=START + 8 * HOUR,
    )
    assert told(replace(session, booked=longest), "provider", NOW)["extend"].reason == "validation"


@given(steps, steps, st.sampled_from(READERS))
def test_what_is_remembered_of_one_ended_session_is_true_of_another(first: Any, second: Any, reader: Any) -> None:
    (one, early), (other, late) = after(confirmed(), first), after(in_person(), second)
    _ENDED.clear()
    anew = actions(other, reader, late)
    _ENDED.clear()
    for session, now in ((one, early), (replace(other, attendance=one.attendance), late)):
        actions(session, reader, now)
    assert actions(other, reader, late) == anew
