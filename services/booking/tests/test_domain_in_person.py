"""Sessions in person: checking in at the venue, or the provider says how it went (JOIN-3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.api.models import SessionPolicyView
from makegood_booking.domain.actions import Action, Reader, actions
from makegood_booking.domain.attendance import join, leave, next_due, time_passed
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.cancelling import call_off, cancel, forfeits_now, free_until
from makegood_booking.domain.in_person import CheckIn, check_in, say_outcome
from makegood_booking.domain.session import OVER, Refusal, Session, Transition
from makegood_contracts.check_in import digest, is_code, new_code
from makegood_contracts.events import (
    MemberNoShow,
    OutcomeAsked,
    Party,
    ProviderMissed,
    SessionCompleted,
    SessionOutcome,
)

from .examples import HOUR, MINUTE, START, confirmed, done, names, only_event

TICK = timedelta(microseconds=1)
END = START + 30 * MINUTE
VENUE = "room-4"
CODE = "7K3M-9QXT"
KNOWN = digest(CODE, VENUE)
WITH_CODE = CheckIn(CODE)
BOTH = CheckIn(both=True)


def in_person() -> Session:
    return confirmed(modality="in_person", venue_id=VENUE)


def came(party: Party, minutes: float, asked: CheckIn = WITH_CODE, session: Session | None = None) -> Session:
    return done(check_in(session or in_person(), party, asked, KNOWN, START + minutes * MINUTE))


def asked() -> Session:
    return time_passed(in_person(), END).session


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.rule("JOIN-3")
def test_both_check_in_with_the_venues_code() -> None:
    met = came("provider", 2, session=came("member", -5))
    assert met.status == "in_session"
    assert names(time_passed(met, END)) == ["SessionCompleted"]


@pytest.mark.rule("JOIN-3")
@pytest.mark.parametrize("minutes", [-10, 0, 9, 20, 29])
def test_the_provider_checks_in_for_both_without_a_code(minutes: int) -> None:
    checked = check_in(in_person(), "provider", BOTH, None, START + minutes * MINUTE)
    joined: list[Any] = [event for event in done_events(checked) if type(event).__name__ == "SessionJoined"]
    assert [(event.party, event.how) for event in joined] == [("provider", "joined"), ("member", "provider")]
    assert names(time_passed(done(checked), END))[-1] == "SessionCompleted"


def done_events(result: object) -> tuple[Any, ...]:
    assert isinstance(result, Transition), result
    return result.events


@pytest.mark.rule("JOIN-3")
def test_checking_in_for_both_adds_who_is_not_there_yet() -> None:
    assert names(check_in(came("member", 0), "provider", BOTH, None, START + MINUTE)) == [
        "SessionJoined",
        "SessionStarted",
    ]
    both = check_in(came("provider", 0), "provider", BOTH, None, START + MINUTE)
    assert names(both) == ["SessionJoined", "SessionStarted"]
    assert names(check_in(done(both), "provider", BOTH, None, START + 2 * MINUTE)) == []


@pytest.mark.rule("JOIN-3")
@pytest.mark.parametrize(
    ("party", "how", "known", "refused"),
    [
        ("member", CheckIn("0000-0000"), KNOWN, "check-in-code-wrong"),
        ("member", WITH_CODE, None, "check-in-code-wrong"),
        ("member", WITH_CODE, digest(CODE, "room-5"), "check-in-code-wrong"),
        ("provider", CheckIn("0000-0000", both=True), KNOWN, "check-in-code-wrong"),
    ],
)
def test_a_code_that_the_venue_does_not_show_checks_nobody_in(
    party: Party, how: CheckIn, known: str | None, refused: str
) -> None:
    assert code(check_in(in_person(), party, how, known, START)) == refused


@pytest.mark.rule("JOIN-3")
def test_what_says_nothing_is_no_check_in() -> None:
    for party, how, field in (
        ("member", CheckIn(), "venue_code"),
        ("provider", CheckIn(), "venue_code"),
        ("member", BOTH, "both"),
    ):
        result = check_in(in_person(), party, how, KNOWN, START)  # type: ignore[arg-type]
        assert isinstance(result, InvalidField)
        assert result.field == field
    for how in (WITH_CODE, BOTH):
        assert isinstance(check_in(confirmed(), "provider", how, KNOWN, START), InvalidField)
    assert names(check_in(confirmed(), "provider", CheckIn(), None, START)) == ["SessionJoined"]


@pytest.mark.rule("JOIN-1", "JOIN-3")
def test_the_doors_open_and_close_as_for_any_session() -> None:
    assert code(check_in(in_person(), "member", WITH_CODE, KNOWN, START - 10 * MINUTE - TICK)) == "too-early-to-join"
    assert code(check_in(in_person(), "provider", BOTH, None, END)) == "session-over"


@pytest.mark.rule("JOIN-3", "JOIN-2")
def test_one_who_checked_in_alone_in_time_is_judged_by_the_table() -> None:
    miss = only_event(time_passed(came("member", 5), START + 10 * MINUTE))
    assert isinstance(miss, ProviderMissed)
    assert miss.absent_party == "provider"
    assert names(time_passed(came("provider", 5), START + 15 * MINUTE)) == ["MemberNoShow"]


@pytest.mark.rule("JOIN-3", "MISS-1")
def test_if_nobody_checked_in_the_provider_is_asked_at_the_end() -> None:
    session = in_person()
    assert next_due(session) == END
    assert time_passed(session, END - TICK).session is session
    event = only_event(time_passed(session, END))
    assert isinstance(event, OutcomeAsked)
    assert event.answer_by == END + 24 * HOUR
    assert (asked().status, next_due(asked())) == ("confirmed", END + 24 * HOUR)


@pytest.mark.rule("JOIN-3")
@pytest.mark.parametrize(("party", "absent"), [("member", "provider"), ("provider", "both"), (None, "both")])
def test_who_checks_in_alone_after_the_grace_says_nothing_of_the_other(party: Party | None, absent: str) -> None:
    session = in_person() if party is None else came(party, 10)
    asks = time_passed(session, END)
    assert names(asks)[-1] == "OutcomeAsked"
    event = only_event(time_passed(done(asks), END + 24 * HOUR))
    assert isinstance(event, ProviderMissed)
    assert (event.absent_party, event.missed_at, event.told_by) == (absent, END + 24 * HOUR, "system")


@pytest.mark.rule("JOIN-3")
def test_a_check_in_that_was_taken_back_before_the_start_is_none() -> None:
    left = done(leave(came("member", -9), "member", START - 5 * MINUTE))
    assert names(time_passed(left, END)) == ["OutcomeAsked"]


@pytest.mark.rule("JOIN-3")
@pytest.mark.parametrize("outcome", ["completed", "provider_missed", "member_no_show"])
@pytest.mark.parametrize("later", [timedelta(), 24 * HOUR - TICK])
def test_the_provider_says_how_it_went(outcome: SessionOutcome, later: timedelta) -> None:
    result = say_outcome(asked(), outcome, END + later)
    event: Any = only_event(result)
    assert done(result).status == outcome
    match event:
        case SessionCompleted():
            assert event.told_by == "provider"
        case ProviderMissed():
            assert (event.told_by, event.absent_party, event.missed_at) == ("provider", "both", END + later)
        case MemberNoShow():
            assert (event.marked_by, event.forfeits) == ("provider", True)
        case _:
            raise AssertionError(event)
    assert names(say_outcome(done(result), outcome, END + later)) == []
    other: SessionOutcome = "completed" if outcome != "completed" else "member_no_show"
    assert code(say_outcome(done(result), other, END + later)) == "session-over"


@pytest.mark.rule("JOIN-3")
def test_it_is_said_only_when_asked_and_in_time() -> None:
    assert code(say_outcome(in_person(), "completed", END - TICK)) == "outcome-not-asked"
    assert code(say_outcome(asked(), "completed", END + 24 * HOUR)) == "session-over"
    assert (
        code(say_outcome(done(join(confirmed(), "provider", START)), "completed", START + MINUTE))
        == "outcome-not-asked"
    )
    completed = time_passed(came("provider", 0, BOTH), END).session
    assert code(say_outcome(completed, "completed", END)) == "session-over"


@pytest.mark.rule("JOIN-3", "BOOK-10")
def test_the_provider_sees_when_to_say_it() -> None:
    def shown(session: Session, reader: Reader, now: datetime) -> list[Action]:
        return [action for action in actions(session, reader, now) if action.action == "outcome"]

    waits = Action("outcome", False, opens=END, reason="outcome-not-asked")
    assert shown(in_person(), "provider", START) == [waits]
    assert shown(asked(), "provider", END) == [Action("outcome", True, until=END + 24 * HOUR)]
    assert shown(asked(), "member", END) == shown(confirmed(), "provider", START) == []


@pytest.mark.rule("JOIN-3", "NOSH-1")
def test_a_member_who_checked_in_is_no_no_show() -> None:
    late = time_passed(came("member", 12), END).session
    assert code(say_outcome(late, "member_no_show", END)) == "no-show-not-possible"
    event = only_event(say_outcome(late, "provider_missed", END))
    assert isinstance(event, ProviderMissed)
    assert event.absent_party == "provider"


@pytest.mark.rule("JOIN-3", "CANC-1", "CANC-2")
def test_what_has_ended_is_not_cancelled_while_the_answer_is_waited_for() -> None:
    for party in ("member", "provider"):
        assert code(cancel(asked(), party, True, END + HOUR)) == "session-over"
    assert names(call_off(asked(), "provider", "time_off", END + HOUR)) == []


@pytest.mark.rule("JOIN-3", "CANC-1")
def test_that_nobody_checked_in_does_not_mean_that_the_provider_is_not_there() -> None:
    assert forfeits_now(in_person(), START + 5 * MINUTE)
    assert forfeits_now(in_person(), START + 20 * MINUTE)
    assert not forfeits_now(came("member", 0), START + 5 * MINUTE)


@pytest.mark.rule("JOIN-3", "CANC-1", "MISS-2")
def test_a_member_who_checked_in_late_and_waits_for_an_absent_provider_leaves_without_loss() -> None:
    now = START + 20 * MINUTE
    waits = came("member", 12)
    went_home = done(leave(waits, "member", now))
    provider_gone = done(leave(came("provider", 11), "provider", START + 11.5 * MINUTE))
    for session in (waits, went_home, came("member", 12, session=provider_gone)):
        assert (forfeits_now(session, now), free_until(session, now)) == (False, END)
        event: Any = only_event(cancel(session, "member", False, now))
        assert (event.forfeits, event.caused_by_provider) == (False, True)
    for there in (came("provider", 13, session=waits), came("provider", 11)):
        assert forfeits_now(there, now), "the provider is there"


@pytest.mark.rule("JOIN-3", "CANC-1")
def test_nothing_is_free_or_cancellable_once_the_time_is_over() -> None:
    for session in (asked(), time_passed(came("member", 12), END).session):
        for now in (END, END + HOUR):
            said = SessionPolicyView.of(session, now)
            assert (said.cancellable, said.forfeits_now) == (False, False)
            assert said.free_until <= END
    assert SessionPolicyView.of(in_person(), END - TICK).cancellable
    short = confirmed(length_minutes=5)
    assert not SessionPolicyView.of(short, START + 5 * MINUTE).cancellable, (
        "it is over, though its outcome is not found yet"
    )


@pytest.mark.rule("JOIN-3")
@given(
    steps=st.lists(
        st.tuples(st.integers(-12, 45), st.sampled_from(["member", "provider", "both", "m leaves", "p leaves"])),
        max_size=6,
    ),
    answer=st.sampled_from([None, "completed", "provider_missed", "member_no_show"]),
    hours=st.integers(0, 30),
)
def test_whatever_is_checked_in_it_ends_once_and_no_member_who_came_pays_for_a_meeting_that_was_not(
    steps: list[tuple[int, str]], answer: SessionOutcome | None, hours: int
) -> None:
    session = in_person()
    told: list[str] = []

    def take(result: Any) -> None:
        nonlocal session
        if isinstance(result, Transition):
            session = result.session
            told.extend(names(result))

    for minutes, step in sorted(steps):
        now = START + minutes * MINUTE
        if step.endswith("leaves"):
            take(leave(session, "member" if step == "m leaves" else "provider", now))
        else:
            how = BOTH if step == "both" else WITH_CODE
            take(check_in(session, "provider" if step == "both" else step, how, KNOWN, now))  # type: ignore[arg-type]
    take(time_passed(session, END))
    was_asked = session.status not in OVER
    assert was_asked == ("OutcomeAsked" in told)
    if answer is not None:
        take(say_outcome(session, answer, END + hours * HOUR))
    take(time_passed(session, END + 24 * HOUR))
    assert session.status in OVER
    assert sum(name in ("SessionCompleted", "ProviderMissed", "MemberNoShow") for name in told) == 1
    if session.status == "completed":
        assert session.attendance.met or (was_asked and answer == "completed" and hours < 24)
    if session.status == "member_no_show":
        assert not session.attendance.was_present("member", START)
    if was_asked and (answer is None or hours >= 24):
        assert session.status == "provider_missed"


@pytest.mark.rule("JOIN-3")
def test_codes_are_read_as_people_write_them() -> None:
    shown = new_code()
    known = digest(shown, VENUE)
    for written in (shown, shown.lower(), shown.replace("-", " "), shown.replace("-", ""), f" {shown} "):
        assert is_code(written, VENUE, known)
    assert is_code(shown.replace("0", "O").replace("1", "l"), VENUE, known)
    assert not is_code(new_code(), VENUE, known)
    assert not is_code(shown, "room-5", known)
