"""Changes of the time zone alone (RESC-5), and moves that the member is not told of (RESC-2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_booking.domain.attendance import join
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.cancelling import cancel, forfeits_by_moving
from makegood_booking.domain.rescheduling import RescheduleCommand, reschedule
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_contracts.events import Party, SessionMoved, SessionZoneChanged
from msgspec.structs import replace

from . import answers
from .examples import HOUR, MINUTE, NOW, START, confirmed, done, names, only_event, requested, reserved, without_version

TICK = timedelta(microseconds=1)
KOLKATA = "Asia/Kolkata"


def zone(session: Session, by: Party = "member", now: datetime = NOW, **changes: Any) -> Any:
    there = {"starts_at": session.booked.starts_at, "time_zone": KOLKATA, **changes}
    return reschedule(session, RescheduleCommand(**there), by, "move", "therapy", now)


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.rule("RESC-5")
@pytest.mark.parametrize("by", ["member", "provider"])
@pytest.mark.parametrize("now", [NOW, START - MINUTE, START, START + MINUTE])
def test_another_zone_alone_needs_no_notice_no_confirmation_and_no_credit(by: Party, now: datetime) -> None:
    session = replace(done(join(confirmed(), "provider", START - 10 * MINUTE)), reconfirmation="given")
    changed = zone(session, by, now)
    event = only_event(changed)
    assert isinstance(event, SessionZoneChanged)
    assert (event.starts_at, event.time_zone, event.old_time_zone) == (START, KOLKATA, "Europe/Berlin")
    assert (event.changed_by, event.confirmed, event.notify_member) == (by, True, True)
    after = done(changed)
    assert after.booked == replace(session.booked, time_zone=KOLKATA)
    assert without_version(replace(after, booked=session.booked)) == without_version(session)


@pytest.mark.rule("RESC-5")
def test_an_unconfirmed_session_keeps_its_time_to_confirm() -> None:
    session = reserved()
    after = zone(session)
    assert (done(after).status, done(after).confirm_by) == ("reserved", session.confirm_by)
    assert only_event(after).confirmed is False  # type: ignore[attr-defined]


@pytest.mark.rule("RESC-5", "RESC-3")
def test_it_is_no_move_so_it_neither_gives_nor_takes_the_right_to_go_without_loss() -> None:
    late = START - HOUR
    theirs = done(zone(confirmed(), "provider", late))
    assert (theirs.moved_by_provider, forfeits_by_moving(theirs, late)) == (False, True)
    mine = done(zone(replace(confirmed(), moved_by_provider=True), "member", late))
    assert (mine.moved_by_provider, forfeits_by_moving(mine, late)) == (True, False)


@pytest.mark.rule("RESC-5", "RESC-1")
def test_with_anything_else_it_is_a_move() -> None:
    for other in ({"starts_at": START + HOUR}, {"length_minutes": 45}):
        assert names(zone(confirmed(), **other)) == ["SessionMoveRequested"]
        assert code(zone(confirmed(), now=START - HOUR, **other)) == "forfeit-not-accepted"
    assert names(zone(confirmed(), length_minutes=30)) == ["SessionZoneChanged"], "as it is"
    assert zone(confirmed(), time_zone="Europe/Berlin").events == ()


@pytest.mark.rule("RESC-5")
def test_where_no_zone_can_be_changed() -> None:
    fault = zone(confirmed(), time_zone="Mars/Olympus")
    assert isinstance(fault, InvalidField)
    assert fault.field == "time_zone"
    assert code(zone(requested())) == "not-confirmed"
    assert code(zone(done(cancel(confirmed(), "provider", False, NOW)))) == "session-over"
    pending = done(reschedule(confirmed(), RescheduleCommand(START + HOUR), "member", "move", "therapy", NOW))
    assert code(zone(pending)) == "move-pending"


@pytest.mark.rule("RESC-2")
@pytest.mark.parametrize(
    ("old", "new", "quiet"),
    [
        (48 * HOUR + TICK, 72 * HOUR, True),
        (72 * HOUR, 48 * HOUR + TICK, True),
        (48 * HOUR, 72 * HOUR, False),
        (72 * HOUR, 48 * HOUR, False),
        (HOUR, 72 * HOUR, False),
        (72 * HOUR, HOUR, False),
    ],
)
def test_a_member_is_told_of_a_move_unless_both_starts_are_farther_away_than_the_notice(
    old: timedelta, new: timedelta, quiet: bool
) -> None:
    session, now = confirmed(), START - old
    there = RescheduleCommand(now + new, notify_member=False)
    result = reschedule(session, there, "provider", "move", "therapy", now)
    if not quiet:
        assert code(result) == "member-must-be-told"
        assert isinstance(
            reschedule(session, replace(there, notify_member=True), "provider", "m", "therapy", now), Transition
        )
        return
    moved = answers.slot_moved(done(answers.move_paid(done(result), "move", None, now)), "move", now)
    event = only_event(moved)
    assert isinstance(event, SessionMoved)
    assert event.notify_member is False


@pytest.mark.rule("RESC-2", "RESC-5")
def test_a_member_moves_and_a_zone_changes_whatever_is_said_of_telling() -> None:
    late = START - HOUR
    mine = reschedule(
        confirmed(),
        RescheduleCommand(START + HOUR, notify_member=False, accept_forfeit=True),
        "member",
        "move",
        "therapy",
        late,
    )
    assert names(mine) == ["SessionMoveRequested"]
    assert names(zone(confirmed(), "provider", late, notify_member=False)) == ["SessionZoneChanged"]
