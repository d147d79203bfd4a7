"""Presence, not the first join: the table at JOIN-2, row by row, boundary by boundary, and against a naive model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_booking.domain.attendance import join, leave, mark_no_show, time_passed
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_contracts.events import Party, ProviderMissed
from msgspec.structs import replace

from .examples import MINUTE, START, confirmed, done, names

TICK = timedelta(microseconds=1)
P: Party = "provider"
M: Party = "member"
Walk = tuple[Party, float | timedelta, float | timedelta | None]
"""Who, came when, left when (None: stays); minutes after the start."""


def after_start(moment: float | timedelta) -> timedelta:
    return moment if isinstance(moment, timedelta) else moment * MINUTE


def walked(session: Session, *walks: Walk) -> Session:
    """The session after these came and went, in the order of the moments."""
    steps: list[tuple[timedelta, Any, Party]] = []
    for party, came, left in walks:
        steps.append((after_start(came), join, party))
        if left is not None:
            steps.append((after_start(left), leave, party))
    for moment, step, party in sorted(steps, key=lambda each: each[0]):
        session = done(step(session, party, START + moment))
    return session


def at(minutes: float | timedelta, *walks: Walk) -> tuple[str, str | None]:
    """Status and absent party so long after the start."""
    session = time_passed(walked(confirmed(), *walks), START + after_start(minutes)).session
    return session.status, session.absent_party


NOT_YET = ("confirmed", None)
COMPLETED = ("completed", None)
NO_SHOW = ("member_no_show", "member")


def missed(absent: str) -> tuple[str, str]:
    return "provider_missed", absent


@pytest.mark.rule("MISS-1", "JOIN-2")
@pytest.mark.parametrize(
    ("walks", "absent"),
    [
        ((), "both"),
        (((M, -1, None),), "provider"),
        (((M, 2, 3),), "provider"),
        (((M, -9, -5),), "both"),
        (((P, -9, -5), (M, 1, None)), "provider"),
        (((P, -9, -5),), "both"),
        (((P, -9, timedelta() - TICK), (M, -9, None)), "provider"),
        (((P, -9, timedelta() - TICK), (M, -9, timedelta() - TICK)), "both"),
    ],
)
def test_after_the_grace_a_provider_who_has_not_been_present_missed_it(walks: tuple[Walk, ...], absent: str) -> None:
    assert at(10 * MINUTE - TICK, *walks) == NOT_YET
    assert at(10, *walks) == missed(absent)
    (told,) = time_passed(walked(confirmed(), *walks), START + 10 * MINUTE).events
    assert isinstance(told, ProviderMissed)
    assert (told.absent_party, told.missed_at) == (absent, START + 10 * MINUTE)


@pytest.mark.rule("MISS-1", "JOIN-2")
@pytest.mark.parametrize("walk", [(P, -9, None), (P, -9, 0), (P, 0, 0), (P, 10 * MINUTE - TICK, None)])
def test_one_moment_of_presence_is_enough_for_the_grace(walk: Walk) -> None:
    assert at(10, walk) == NOT_YET
    assert at(15 * MINUTE - TICK, walk) == NOT_YET


@pytest.mark.rule("NOSH-1", "JOIN-2")
@pytest.mark.parametrize("walks", [((P, -9, None),), ((P, 9, None),), ((P, 0, 5), (P, 14, None))])
@pytest.mark.parametrize("early", [(), ((M, -9, -5),), ((M, -9, timedelta() - TICK),)])
def test_a_provider_in_the_room_and_a_member_who_was_not_present_is_a_no_show(
    walks: tuple[Walk, ...], early: tuple[Walk, ...]
) -> None:
    assert at(15 * MINUTE - TICK, *walks, *early) == NOT_YET
    assert at(15, *walks, *early) == NO_SHOW


@pytest.mark.rule("JOIN-2")
@pytest.mark.parametrize(
    ("walks", "absent"),
    [
        (((P, 0, 5), (M, 6, None)), "provider"),
        (((P, 0, 5), (M, 6, 7)), "provider"),
        (((P, 0, 5),), "both"),
        (((P, -9, 0),), "both"),
        (((P, 0, 15 * MINUTE - TICK),), "both"),
        (((M, 0, 1), (P, 2, 3)), "provider"),
        (((M, -9, 0), (P, 2, 3)), "provider"),
        (((M, -9, -1), (P, 2, 3)), "both"),
    ],
)
def test_unmet_after_the_wait_a_provider_who_is_not_in_the_room_missed_it(walks: tuple[Walk, ...], absent: str) -> None:
    assert at(15 * MINUTE - TICK, *walks) == NOT_YET
    assert at(15, *walks) == missed(absent)


@pytest.mark.rule("JOIN-2", "NOSH-1")
@pytest.mark.parametrize(("left", "ends"), [(5 * MINUTE, NO_SHOW), (5 * MINUTE - TICK, missed("both"))])
def test_in_a_session_shorter_than_the_wait_a_provider_who_stayed_to_its_end_was_there(
    left: timedelta, ends: tuple[str, str]
) -> None:
    session = walked(confirmed(length_minutes=5), (P, 0, left))
    assert time_passed(session, START + 15 * MINUTE - TICK).session is session
    found = time_passed(session, START + 15 * MINUTE).session
    assert (found.status, found.absent_party) == ends


@pytest.mark.rule("JOIN-2")
@pytest.mark.parametrize(
    "walks",
    [
        ((M, 0, 1), (P, 2, None)),
        ((M, -9, 0), (P, 1, None)),
        ((M, 0, 1), (P, 2, 20)),
        ((M, 0, 1), (P, 2, 18), (M, 19, None)),
        ((M, 0, 1), (P, 2, 16), (M, 17, 18), (P, 19, None)),
    ],
)
def test_both_came_but_never_met_waits_for_the_end_and_is_never_spent(walks: tuple[Walk, ...]) -> None:
    assert at(30 * MINUTE - TICK, *walks) == NOT_YET
    assert at(30, *walks) == missed("both")


@pytest.mark.rule("JOIN-2")
def test_while_it_waits_for_the_end_they_can_still_meet() -> None:
    session = walked(confirmed(), (M, 0, 1), (P, 2, None), (M, 25, None))
    assert session.status == "in_session"
    assert names(time_passed(session, START + 30 * MINUTE)) == ["SessionCompleted"]


@pytest.mark.rule("JOIN-2")
@pytest.mark.parametrize(
    ("walks", "ends"),
    [
        (((P, 0, None), (M, 0, None)), COMPLETED),
        (((P, -5, None), (M, -5, None)), COMPLETED),
        (((M, 0, 1), (P, 2, None), (M, 28, None)), COMPLETED),  # short, and nobody left
        (((P, 0, 2), (M, 0, None)), missed("provider")),
        (((P, 0, 2), (M, 0, 3)), missed("provider")),
        (((P, 0, 3), (M, 0, 2)), COMPLETED),  # short, but the member left first
        (((P, 0, 5), (M, 0, None)), COMPLETED),
        (((P, 0, 5 * MINUTE - TICK), (M, 0, None)), missed("provider")),
        (((P, -9, 4), (M, -9, None)), missed("provider")),  # before the start does not count
        (((P, -9, 0), (M, -9, None)), missed("provider")),  # met at the very start, for no time
        (((P, 0, 2), (M, 0, None), (P, 3, 6)), COMPLETED),  # 2 and 3 minutes
        (((P, 0, 2), (M, 0, None), (P, 3, 6 * MINUTE - TICK)), missed("provider")),
        (((P, 0, 2), (M, 0, None), (P, 28, None)), missed("provider")),  # away for 26 minutes of 30
        (((M, 0, 1), (P, 0, 3), (M, 4, None)), COMPLETED),
    ],
)
def test_who_met_completed_it_unless_the_provider_left_first_and_early(
    walks: tuple[Walk, ...], ends: tuple[str, str | None]
) -> None:
    assert at(30 * MINUTE - TICK, *walks)[0] == "in_session"
    assert at(30, *walks) == ends


@pytest.mark.rule("JOIN-2")
def test_an_early_leaving_is_dated_to_the_end() -> None:
    (told,) = time_passed(walked(confirmed(), (P, 0, 2), (M, 0, None)), START + 72 * 60 * MINUTE).events
    assert isinstance(told, ProviderMissed)
    assert (told.absent_party, told.missed_at) == ("provider", START + 30 * MINUTE)


@pytest.mark.rule("JOIN-2")
def test_two_who_pass_each_other_at_the_door_have_not_met() -> None:
    passed = done(leave(walked(confirmed(), (P, 0, None)), P, START + 5 * MINUTE))
    passed = done(join(passed, M, START + 5 * MINUTE))
    assert (passed.status, passed.attendance.met) == ("confirmed", False)
    seen = done(join(walked(confirmed(), (P, 0, None)), M, START + 5 * MINUTE))
    assert done(leave(seen, P, START + 5 * MINUTE)).attendance.met


@pytest.mark.rule("NOSH-1")
@pytest.mark.parametrize(
    ("moment", "walks", "possible"),
    [
        (10 * MINUTE - TICK, ((P, 0, None),), False),
        (10, ((P, 0, None),), True),
        (10, ((P, -9, None), (M, -9, timedelta() - TICK)), True),
        (10, ((P, -9, None), (M, -9, 0)), False),
        (10, ((P, 2, None), (M, 0, 1)), False),
        (20, ((P, 2, None), (M, 0, 1)), False),  # it waits for the end, and is nobody's no-show
        (10, ((P, 0, 9),), False),
        (11, ((P, 0, 9), (P, 10, None)), True),
    ],
)
def test_a_no_show_is_marked_from_the_room_and_only_of_a_member_who_was_not_present(
    moment: float | timedelta, walks: tuple[Walk, ...], possible: bool
) -> None:
    result = mark_no_show(walked(confirmed(), *walks), START + after_start(moment))
    assert isinstance(result, Transition) == possible
    if isinstance(result, Transition):
        assert result.session.status == "member_no_show"
    else:
        assert isinstance(result, Refusal)
        assert result.code == "no-show-not-possible"


@dataclass(frozen=True)
class Stay:
    came: int
    left: int
    """Half minutes after the start."""

    def has(self, moment: int) -> bool:
        return self.came <= moment <= self.left


NEVER = 10**6


def naive(
    provider: list[Stay], member: list[Stay], grace: int, no_show: int, least: int, end: int
) -> tuple[str, str | None, int]:
    """The table at JOIN-2, read aloud: outcome, absent party, moment. Looks at each half minute."""

    def present(stays: list[Stay], before: int) -> bool:
        return any(stay.has(moment) for stay in stays for moment in range(before))

    def met(before: int) -> bool:
        return any(
            any(stay.has(moment) for stay in provider) and any(stay.has(moment) for stay in member)
            for moment in range(before)
        )

    member_or_both = "provider" if present(member, min(no_show, end)) else "both"
    if not present(provider, min(grace, end)):
        return "provider_missed", "provider" if present(member, min(grace, end)) else "both", grace
    if not met(min(no_show, end)):
        there = any(stay.came < min(no_show, end) <= stay.left for stay in provider)
        if not there:
            return "provider_missed", member_or_both, no_show
        if not present(member, min(no_show, end)):
            return "member_no_show", "member", no_show
    if not met(end):
        return "provider_missed", "both", max(end, no_show)
    pairs = [
        (max(a.came, b.came, 0), min(a.left, b.left, end), a.left < b.left)
        for a in provider
        for b in member
        if max(a.came, b.came, 0) <= min(a.left, b.left) and max(a.came, b.came) < end
    ]
    together = sum(until - since for since, until, _ in pairs)
    _, first_parting, provider_left = min(pairs)
    if together < least and provider_left and first_parting < end:
        return "provider_missed", "provider", max(end, grace)
    return "completed", None, end


@st.composite
def comings(draw: st.DrawFn) -> tuple[list[Stay], list[Stay]]:
    """Stays of the provider and the member; no two steps at the same half minute."""
    moments = draw(st.lists(st.integers(-20, 70), unique=True, max_size=10))
    sides: dict[bool, list[int]] = {True: [], False: []}
    for moment in sorted(moments):
        sides[draw(st.booleans())].append(moment)
    stays = [
        [Stay(came, left) for came, left in zip(side[::2], [*side[1::2], NEVER], strict=False)]
        for side in (sides[True], sides[False])
    ]
    return stays[0], stays[1]


@pytest.mark.rule("JOIN-2", "MISS-1", "NOSH-1")
@given(
    stays=comings(),
    length=st.sampled_from([5, 10, 15, 30]),
    grace=st.integers(1, 12),
    wait=st.integers(0, 10),
    least=st.integers(0, 5),
    looked=st.booleans(),
)
def test_however_they_come_and_go_the_outcome_is_that_of_the_table(
    stays: tuple[list[Stay], list[Stay]], length: int, grace: int, wait: int, least: int, looked: bool
) -> None:
    provider, member = stays
    policy = replace(STANDARD, grace_minutes=grace, no_show_minutes=grace + wait, together_minutes=least)
    session = confirmed(length_minutes=length)
    session = replace(session, booked=replace(session.booked, policy=policy))
    half = MINUTE / 2
    steps = [
        (moment, step, party)
        for party, side in ((P, provider), (M, member))
        for stay in side
        for moment, step in ((stay.came, join), (stay.left, leave))
        if moment < NEVER
    ]
    told: list[Any] = []
    for moment, step, party in sorted(steps, key=lambda each: each[0]):
        if looked:
            result = time_passed(session, START + moment * half)
            session, told = result.session, told + list(result.events)
        stepped: Any = step(session, party, START + moment * half)
        if isinstance(stepped, Transition):
            session, told = stepped.session, told + list(stepped.events)
    last = time_passed(session, START + 200 * half)
    session, told = last.session, told + list(last.events)
    outcome, absent, moment = naive(provider, member, 2 * grace, 2 * (grace + wait), 2 * least, 2 * length)
    assert (session.status, session.absent_party) == (outcome, absent)
    missed_at = [event.missed_at for event in told if isinstance(event, ProviderMissed)]
    assert missed_at == ([START + moment * half] if outcome == "provider_missed" else [])
