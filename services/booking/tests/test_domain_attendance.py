"""Confirming, cancelling, joining, missing (CONF, CANC, JOIN, MISS, NOSH)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_booking.domain.attendance import confirm, decline, join, leave, mark_no_show, next_due, time_passed
from makegood_booking.domain.cancelling import cancel, forfeits_now
from makegood_booking.domain.session import Refusal
from makegood_contracts.events import MemberNoShow, Party, ProviderMissed, SessionCancelled
from msgspec.structs import replace

from .examples import HOUR, MINUTE, NOW, START, attended, confirmed, done, names, only_event, requested, reserved

TICK = timedelta(microseconds=1)
END = START + 30 * MINUTE


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.rule("CONF-1")
def test_the_provider_confirms_a_reserved_session_once() -> None:
    session = reserved()
    assert names(confirm(session, NOW)) == ["SessionConfirmed"]
    assert names(confirm(done(confirm(session, NOW)), NOW)) == []
    assert code(confirm(requested(), NOW)) == "not-confirmed"


@pytest.mark.rule("CONF-1")
def test_the_provider_declines_a_reserved_session_once() -> None:
    declined = decline(reserved(), NOW)
    assert names(declined) == ["SessionDeclined"]
    assert names(decline(done(declined), NOW)) == []
    assert code(confirm(done(declined), NOW)) == "session-over"
    assert code(decline(confirmed(), NOW)) == "session-over"


@pytest.mark.rule("CONF-2")
def test_unconfirmed_at_the_deadline_the_session_expires() -> None:
    session = reserved()
    by = START - 24 * HOUR
    assert next_due(session) == by
    assert time_passed(session, by - TICK).session is session
    assert names(time_passed(session, by)) == ["SessionExpired"]
    assert done(confirm(session, by - TICK)).status == "confirmed"
    assert code(confirm(session, by)) == "session-over"


@pytest.mark.rule("CONF-2")
def test_a_session_booked_for_at_once_expires_at_its_start() -> None:
    session = reserved(NOW + 30 * MINUTE)
    assert session.confirm_by == session.booked.starts_at
    assert names(time_passed(session, session.booked.starts_at)) == ["SessionExpired"]


@pytest.mark.rule("CANC-1")
@pytest.mark.parametrize(
    ("notice", "forfeits"),
    [(49 * HOUR, False), (48 * HOUR, False), (48 * HOUR - TICK, True), (MINUTE, True)],
)
def test_notice_decides_what_cancelling_costs_the_member(notice: timedelta, forfeits: bool) -> None:
    session, now = confirmed(), START - notice
    assert forfeits_now(session, now) is forfeits
    if forfeits:
        assert code(cancel(session, "member", False, now)) == "forfeit-not-accepted"
    event = only_event(cancel(session, "member", forfeits, now))
    assert isinstance(event, SessionCancelled)
    assert (event.forfeits, event.cancelled_by, event.cancelled_at, event.was_confirmed) == (
        forfeits,
        "member",
        now,
        True,
    )


@pytest.mark.rule("CANC-1")
def test_accepting_a_forfeit_that_is_none_costs_nothing() -> None:
    event = only_event(cancel(confirmed(), "member", True, NOW))
    assert isinstance(event, SessionCancelled)
    assert not event.forfeits


@pytest.mark.rule("CANC-1", "BOOK-2")
def test_notice_is_elapsed_time_also_over_a_clock_change() -> None:
    # 2027-03-28, Berlin: the night has 23 hours. 48 hours before 10:00 local it is 09:00 local, two days before.
    starts_at = datetime.fromisoformat("2027-03-29T10:00:00+02:00")
    session = confirmed(starts_at, datetime.fromisoformat("2027-03-20T10:00:00+01:00"))
    assert not forfeits_now(session, datetime.fromisoformat("2027-03-27T09:00:00+01:00"))
    assert forfeits_now(session, datetime.fromisoformat("2027-03-27T09:00:01+01:00"))


@pytest.mark.rule("CANC-1")
def test_a_booking_that_is_not_decided_costs_nothing_to_cancel() -> None:
    event = only_event(cancel(requested(NOW + HOUR), "member", False, NOW))
    assert isinstance(event, SessionCancelled)
    assert (event.forfeits, event.was_confirmed) == (False, False)


@pytest.mark.rule("CANC-2")
@pytest.mark.parametrize("now", [NOW, START - MINUTE, START + 5 * MINUTE])
def test_the_provider_cancels_at_any_time_without_loss_to_the_member(now: datetime) -> None:
    event = only_event(cancel(confirmed(), "provider", False, now))
    assert isinstance(event, SessionCancelled)
    assert (event.forfeits, event.cancelled_by) == (False, "provider")


@pytest.mark.rule("CANC-2", "MISS-1")
def test_a_miss_cannot_be_turned_into_a_cancellation() -> None:
    assert code(cancel(confirmed(), "provider", False, START + 10 * MINUTE)) == "session-over"


@pytest.mark.rule("JOIN-1")
@pytest.mark.parametrize("party", ["member", "provider"])
def test_joining_opens_ten_minutes_before_the_start_and_closes_at_the_end(party: Party) -> None:
    early = join(confirmed(), party, START - 10 * MINUTE - TICK)
    assert isinstance(early, Refusal)
    assert (early.code, early.opens_at) == ("too-early-to-join", START - 10 * MINUTE)
    assert names(join(confirmed(), party, START - 10 * MINUTE)) == ["SessionJoined"]
    other: Party = "provider" if party == "member" else "member"
    there = done(join(confirmed(), other, START))
    assert code(join(there, party, END)) == "session-over"


@pytest.mark.rule("JOIN-1")
def test_only_a_confirmed_session_is_joined() -> None:
    assert code(join(reserved(NOW + 20 * MINUTE), "member", NOW + 15 * MINUTE)) == "not-confirmed"
    assert code(join(done(cancel(confirmed(), "member", False, NOW)), "member", START)) == "session-over"


@pytest.mark.rule("JOIN-1")
def test_coming_and_leaving_are_recorded() -> None:
    came = done(join(confirmed(), "member", START - 5 * MINUTE))
    assert (came.attendance.member_joined_at, came.attendance.member_left_at) == (START - 5 * MINUTE, None)
    assert names(join(came, "member", START)) == []
    left = done(leave(came, "member", START))
    assert left.attendance.member_left_at == START
    assert names(leave(left, "member", START)) == []
    back = join(left, "member", START + MINUTE)
    assert names(back) == ["SessionJoined"]
    assert (done(back).attendance.member_joined_at, done(back).attendance.member_left_at) == (START - 5 * MINUTE, None)


@pytest.mark.rule("JOIN-1")
def test_who_never_came_does_not_leave() -> None:
    assert names(leave(confirmed(), "member", START)) == []
    assert code(leave(reserved(), "member", NOW)) == "not-confirmed"


@pytest.mark.rule("JOIN-1")
def test_leaving_just_after_the_end_is_recorded_and_changes_nothing_else() -> None:
    session = done(time_passed(attended("member", "provider"), END))
    left = leave(session, "member", END + MINUTE)
    assert names(left) == ["SessionLeft"]
    assert done(left).status == "completed"
    assert code(leave(done(time_passed(confirmed(), END)), "member", END)) == "session-over"


@pytest.mark.rule("JOIN-1", "JOIN-2")
def test_a_session_starts_when_both_are_in_but_not_before_its_time() -> None:
    early = done(join(done(join(confirmed(), "member", START - MINUTE)), "provider", START - MINUTE))
    assert early.status == "confirmed"
    assert next_due(early) == START
    assert names(time_passed(early, START)) == ["SessionStarted"]
    there = done(join(confirmed(), "provider", START))
    assert names(join(there, "member", START + 3 * MINUTE)) == ["SessionJoined", "SessionStarted"]


@pytest.mark.rule("JOIN-2")
def test_a_session_both_attended_is_completed_at_its_end_even_if_somebody_left() -> None:
    session = done(leave(attended("member", "provider"), "member", START + 5 * MINUTE))
    assert time_passed(session, END - TICK).session is session
    assert names(time_passed(session, END)) == ["SessionCompleted"]
    assert done(time_passed(session, END)).absent_party is None


@pytest.mark.rule("JOIN-2")
def test_a_worker_that_was_away_for_long_catches_up_with_everything() -> None:
    early = done(join(done(join(confirmed(), "member", START - MINUTE)), "provider", START - MINUTE))
    assert names(time_passed(early, END + 24 * HOUR)) == ["SessionStarted", "SessionCompleted"]


@pytest.mark.rule("MISS-1")
@pytest.mark.parametrize(("there", "absent"), [(("member",), "provider"), ((), "both")])
def test_a_provider_who_has_not_joined_ten_minutes_after_the_start_missed_it(
    there: tuple[Party, ...], absent: str
) -> None:
    session = attended(*there)
    assert next_due(session) == START + 10 * MINUTE
    assert time_passed(session, START + 10 * MINUTE - TICK).session is session
    event = only_event(time_passed(session, START + 10 * MINUTE))
    assert isinstance(event, ProviderMissed)
    assert (event.absent_party, event.missed_at, event.grace_minutes) == (absent, START + 10 * MINUTE, 10)


@pytest.mark.rule("MISS-1")
def test_a_miss_that_is_found_late_is_dated_to_its_moment() -> None:
    event = only_event(time_passed(confirmed(), START + 72 * HOUR))
    assert isinstance(event, ProviderMissed)
    assert event.missed_at == START + 10 * MINUTE


@pytest.mark.rule("MISS-1")
def test_the_last_moment_to_come_is_just_before_the_grace_ends() -> None:
    assert done(join(confirmed(), "provider", START + 10 * MINUTE - TICK)).status == "confirmed"
    assert code(join(confirmed(), "provider", START + 10 * MINUTE)) == "session-over"


@pytest.mark.rule("NOSH-1")
def test_a_member_who_has_not_joined_fifteen_minutes_after_the_start_is_a_no_show() -> None:
    session = attended("provider")
    assert next_due(session) == START + 15 * MINUTE
    assert time_passed(session, START + 15 * MINUTE - TICK).session is session
    event = only_event(time_passed(session, START + 15 * MINUTE))
    assert isinstance(event, MemberNoShow)
    assert event.marked_by == "system"
    assert done(time_passed(session, START + 15 * MINUTE)).absent_party == "member"


@pytest.mark.rule("NOSH-1")
def test_a_no_show_is_not_marked_before_the_member_was_waited_for() -> None:
    session = attended("provider")
    assert code(mark_no_show(session, START - TICK)) == "no-show-not-possible"
    assert code(mark_no_show(session, START + 10 * MINUTE - TICK)) == "no-show-not-possible"
    event = only_event(mark_no_show(session, START + 10 * MINUTE))
    assert isinstance(event, MemberNoShow)
    assert event.marked_by == "provider"
    assert code(mark_no_show(reserved(NOW + 3 * HOUR), NOW)) == "not-confirmed"


@pytest.mark.rule("NOSH-1")
def test_a_provider_who_is_not_in_the_room_marks_no_no_show() -> None:
    assert code(mark_no_show(confirmed(), START + 10 * MINUTE - TICK)) == "no-show-not-possible"
    left = done(leave(attended("provider"), "provider", START + 11 * MINUTE))
    assert code(mark_no_show(left, START + 12 * MINUTE)) == "no-show-not-possible"
    back = done(join(left, "provider", START + 13 * MINUTE))
    assert names(mark_no_show(back, START + 14 * MINUTE)) == ["MemberNoShow"]


@pytest.mark.rule("NOSH-1")
@pytest.mark.parametrize(
    ("joined", "left", "present"),
    [
        (-9, -5, False),
        (-9, 0, True),
        (-9, None, True),
        (0, 0, True),
        (5, 6, True),
    ],
)
def test_a_member_who_was_in_the_room_from_the_start_on_is_no_no_show(
    joined: int, left: int | None, present: bool
) -> None:
    session = done(join(attended("provider"), "member", START + joined * MINUTE))
    if left is not None:
        session = done(leave(session, "member", START + left * MINUTE))
    marked = mark_no_show(session, START + 10 * MINUTE)
    assert (code(marked) == "no-show-not-possible") if present else names(marked)[-1] == "MemberNoShow"


@pytest.mark.rule("NOSH-1", "JOIN-2")
@pytest.mark.parametrize("late", [-9, 0, 5])
def test_a_member_who_left_before_the_start_is_a_no_show_by_itself(late: int) -> None:
    session = done(join(confirmed(), "member", START - 9 * MINUTE))
    session = done(leave(session, "member", START - 5 * MINUTE))
    session = done(join(session, "provider", START + late * MINUTE))
    assert time_passed(session, START + 15 * MINUTE - TICK).session.status == "confirmed"
    event = only_event(time_passed(session, START + 15 * MINUTE))
    assert isinstance(event, MemberNoShow)
    assert event.marked_by == "system"


@pytest.mark.rule("JOIN-2")
def test_a_member_who_left_before_the_start_and_comes_back_starts_the_session() -> None:
    session = done(leave(done(join(confirmed(), "member", START - 9 * MINUTE)), "member", START - 5 * MINUTE))
    session = done(join(session, "provider", START))
    assert names(join(session, "member", START + 12 * MINUTE)) == ["SessionJoined", "SessionStarted"]


@pytest.mark.rule("NOSH-1", "MISS-1")
def test_no_no_show_comes_by_itself_while_the_provider_is_not_in_the_room() -> None:
    left = done(leave(attended("provider"), "provider", START + 11 * MINUTE))
    event = only_event(time_passed(left, START + 15 * MINUTE))
    assert isinstance(event, ProviderMissed)
    assert (event.absent_party, event.missed_at) == ("both", START + 15 * MINUTE)


@pytest.mark.rule("MISS-1", "NOSH-1")
def test_the_numbers_are_those_of_the_policy_that_was_booked_under() -> None:
    session = attended("provider")
    patient = replace(session, booked=replace(session.booked, policy=replace(session.policy, no_show_minutes=20)))
    assert time_passed(patient, START + 15 * MINUTE).session is patient
    assert names(time_passed(patient, START + 20 * MINUTE)) == ["MemberNoShow"]


def test_a_booking_that_nobody_answers_is_given_up_before_its_holds_lapse() -> None:
    session = requested()
    assert next_due(session) == NOW + 5 * MINUTE
    after = time_passed(session, NOW + 5 * MINUTE)
    assert names(after) == ["SessionRejected"]
    assert [reason.code for reason in done(after).reasons] == ["temporary-interruption"]
