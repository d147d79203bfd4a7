"""Whatever happens in whatever order: the life of a session holds its invariants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from makegood_booking.domain import attendance, cancelling, disputes, rescheduling
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.rescheduling import RescheduleCommand
from makegood_booking.domain.session import OVER, CreditState, Refusal, Session, Transition, was_present
from makegood_contracts.events import (
    Event,
    OutcomeCorrected,
    Party,
    SessionConfirmed,
    SessionExtended,
    SessionMoved,
    SessionReserved,
)
from makegood_contracts.reasons import Reason
from msgspec.structs import replace

from . import answers
from .examples import NOW, requested

ENDINGS = {
    "SessionRejected": "rejected",
    "SessionDeclined": "declined",
    "SessionExpired": "expired",
    "SessionCancelled": "cancelled",
    "SessionCompleted": "completed",
    "ProviderMissed": "provider_missed",
    "MemberNoShow": "member_no_show",
}
FLOW = {
    "requested": {"reserved", "rejected", "cancelled"},
    "reserved": {"confirmed", "declined", "expired", "cancelled"},
    "confirmed": {"in_session", "cancelled", "provider_missed", "member_no_show"},
    "in_session": {"completed", "cancelled", "provider_missed"},
}
BECOMES = {**ENDINGS, "SessionReserved": "reserved", "SessionConfirmed": "confirmed", "SessionStarted": "in_session"}
REASON = [Reason(code="slot-taken", detail="Taken.")]
NO_CREDIT = [Reason(code="no-session-credits", detail="None left.")]
PARTIES = st.sampled_from(["member", "provider"])
WAITS = st.one_of(
    st.integers(0, 40 * 60).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 72).map(lambda hours: timedelta(hours=hours)),
)


OUTCOMES = ["completed", "provider_missed", "member_no_show"]
MOVED_FROM = {"reserved", "confirmed", "in_session"}


class Life(RuleBasedStateMachine):
    session: Session
    now: datetime
    told: list[Event]
    place: tuple[datetime, datetime]
    """Where availability's hold stands: only what it carried out moves it."""
    asked: list[str]
    """Moves that were asked for, the latest last."""

    @initialize(
        ahead=st.integers(1, 5 * 24 * 60),
        length=st.sampled_from([5, 30, 60]),
        by=st.sampled_from(["member", "provider", "support"]),
    )
    def book(self, ahead: int, length: int, by: Any) -> None:
        self.now = NOW
        asked = requested(NOW + timedelta(minutes=ahead), length_minutes=length)
        self.session = replace(asked, booked=replace(asked.booked, booked_by=by))
        self.told = []
        self.place = (asked.booked.starts_at, asked.booked.ends_at)
        self.asked = []

    def take(self, result: Transition | Refusal | InvalidField) -> None:
        if not isinstance(result, Transition):
            return
        status: str = self.session.status
        version = self.session.version
        for event in result.events:
            name = type(event).__name__
            version += 1
            assert event.session_version == version  # type: ignore[attr-defined]
            if name in BECOMES:
                assert BECOMES[name] in FLOW.get(status, set()), f"{status} must not become {BECOMES[name]}"
                status = BECOMES[name]
            if isinstance(event, SessionMoved):
                assert status in MOVED_FROM
                status = "confirmed" if event.confirmed else "reserved"
                assert event.confirmed or event.confirm_by is not None
            if isinstance(event, OutcomeCorrected):
                assert (status, event.outcome != event.old_outcome) == (event.old_outcome, True)
                status = event.outcome
            if isinstance(event, SessionMoved | SessionExtended):
                self.place = (event.starts_at, event.ends_at)
        assert (result.session.status, result.session.version) == (status, version)
        self.session = result.session
        self.told += result.events

    @rule(wait=WAITS, noticed=st.booleans())
    def time(self, wait: timedelta, noticed: bool) -> None:
        self.now += wait
        if noticed:
            self.take(attendance.time_passed(self.session, self.now))
            due = attendance.next_due(self.session)
            assert due is None or due > self.now

    @rule(held=st.booleans())
    def slot(self, held: bool) -> None:
        held_or_not: Callable[[], Transition] = (
            (lambda: answers.slot_held(self.session, self.now))
            if held
            else (lambda: answers.slot_refused(self.session, REASON, self.now))
        )
        self.take(held_or_not())

    @rule(kind=st.sampled_from(["credit", "credit", "co_pay", "refused"]))
    def credit(self, kind: str) -> None:
        if kind == "refused":
            self.take(answers.credit_refused(self.session, NO_CREDIT, True, self.now))
        else:
            self.take(answers.credit_held(self.session, kind == "co_pay", self.now))

    @rule()
    def both_hold(self) -> None:
        self.slot(True)
        self.credit("credit")

    @rule()
    def lapse(self) -> None:
        self.take(answers.slot_lapsed(self.session, self.now))

    @rule(state=st.sampled_from(["returned", "forfeited", "spent"]), lapsed=st.booleans())
    def settle(self, state: CreditState, lapsed: bool) -> None:
        before = self.session.credit
        self.take(answers.credit_settled(self.session, state, "lapsed" if lapsed else "cancelled", self.now))
        if before not in ("none", "held"):
            assert self.session.credit == before, "a credit is settled once"

    @rule()
    def confirm(self) -> None:
        self.take(attendance.confirm(self.session, self.now))

    @rule()
    def decline(self) -> None:
        self.take(attendance.decline(self.session, self.now))

    @rule(party=PARTIES, accept=st.booleans())
    def cancel(self, party: Party, accept: bool) -> None:
        self.take(cancelling.cancel(self.session, party, accept, self.now))

    @rule(party=PARTIES, minutes=st.integers(-2 * 24 * 60, 4 * 24 * 60), longer=st.booleans(), accept=st.booleans())
    def reschedule(self, party: Party, minutes: int, longer: bool, accept: bool) -> None:
        booked = self.session.booked
        command = RescheduleCommand(
            booked.starts_at + timedelta(minutes=minutes), 90 if longer else None, accept_forfeit=accept
        )
        before, pending = self.session, self.move_is_pending()
        result = rescheduling.reschedule(self.session, command, party, f"move {len(self.asked)}", "therapy", self.now)
        self.take(result)
        self.remember(pending)
        if isinstance(result, Transition) and self.session.move_pending:
            assert self.session.move is not None
            assert not (party == "provider" and self.session.move.forfeits)
            assert not (before.moved_by_provider and self.session.move.forfeits), "RESC-3"
            assert not self.session.move.forfeits or accept

    @rule(minutes=st.integers(1, 60))
    def extend(self, minutes: int) -> None:
        pending = self.move_is_pending()
        later = self.session.booked.ends_at + timedelta(minutes=minutes)
        self.take(rescheduling.extend(self.session, later, None, f"move {len(self.asked)}", self.now))
        self.remember(pending)

    def move_is_pending(self) -> bool:
        """By now: a move whose time is up is refused before the next one is asked for, even if nobody has noticed yet."""
        return attendance.as_of(self.session, self.now)[0].move_pending

    def remember(self, pending: bool) -> None:
        if self.session.move is not None and self.session.move.id not in self.asked:
            assert not pending, "one move at a time"
            self.asked.append(self.session.move.id)

    def a_move(self, which: int) -> str:
        """The latest move that was asked for, or an old one whose answer comes late."""
        return self.asked[-1 - which % len(self.asked)] if self.asked else "none"

    @rule(which=st.integers(0, 2), how=st.sampled_from(["kept", "credit", "co_pay", "refused"]))
    def move_credit(self, which: int, how: str) -> None:
        move_id = self.a_move(which)
        if how == "refused":
            self.take(answers.move_unpaid(self.session, move_id, NO_CREDIT, True))
        else:
            added = None if how == "kept" else how
            self.take(answers.move_paid(self.session, move_id, added, self.now))  # type: ignore[arg-type]

    @rule(which=st.integers(0, 2), carried_out=st.booleans())
    def move_slot(self, which: int, carried_out: bool) -> None:
        move_id = self.a_move(which)
        if carried_out:
            self.take(answers.slot_moved(self.session, move_id, self.now))
        else:
            self.take(answers.slot_stays(self.session, move_id, REASON))

    @rule(party=PARTIES, minutes=st.integers(1, 3 * 24 * 60))
    def move(self, party: Party, minutes: int) -> None:
        """The whole way, as it goes as a rule."""
        self.reschedule(party, minutes, False, True)
        self.move_credit(0, "kept")
        self.move_slot(0, True)

    @rule(party=PARTIES)
    def dispute(self, party: Party) -> None:
        self.take(disputes.dispute(self.session, party, "i_was_there", self.now))

    @rule(outcome=st.sampled_from(OUTCOMES))
    def correct(self, outcome: Any) -> None:
        self.take(disputes.correct(self.session, outcome, "sam", self.now))

    @rule(party=PARTIES, moment=st.integers(-12, 20))
    def join(self, party: Party, moment: int) -> None:
        self.now = max(self.now, self.session.booked.starts_at + timedelta(minutes=moment))
        self.take(attendance.join(self.session, party, self.now))

    @rule(party=PARTIES)
    def leave(self, party: Party) -> None:
        self.take(attendance.leave(self.session, party, self.now))

    @rule()
    def no_show(self) -> None:
        self.take(attendance.mark_no_show(self.session, self.now))

    @invariant()
    def it_ends_once(self) -> None:
        endings = [type(event).__name__ for event in self.told if type(event).__name__ in ENDINGS]
        assert len(endings) == (1 if self.session.status in OVER else 0)

    @invariant()
    def nothing_is_due_once_it_is_over(self) -> None:
        assert (attendance.next_due(self.session) is None) == (self.session.status in OVER)

    @invariant()
    def reserved_means_slot_and_credit_were_held_in_time(self) -> None:
        for event in self.told:
            if isinstance(event, SessionReserved):
                assert event.confirm_by <= event.starts_at
                assert self.session.funding in ("credit", "co_pay")

    @invariant()
    def it_stands_where_its_slot_is(self) -> None:
        booked = self.session.booked
        assert (booked.starts_at, booked.ends_at) == self.place
        assert booked.ends_at - booked.starts_at == timedelta(minutes=booked.length_minutes)

    @invariant()
    def a_move_that_nobody_pays_for_does_not_stay(self) -> None:
        move = self.session.move
        if move is not None and move.state == "asked":
            due = attendance.next_due(self.session)
            assert due is not None
            assert due <= move.decide_by <= min(move.starts_at, self.session.booked.starts_at)
        if self.session.over:
            assert move is None

    @invariant()
    def who_confirmed_early_is_asked_again_once(self) -> None:
        if self.session.reconfirmation == "due" and not self.session.over:
            assert self.session.status == "confirmed"
        confirmed = [event for event in self.told if isinstance(event, SessionConfirmed)]
        assert all(moment < event.starts_at for event in confirmed for moment in event.remind_at)

    @invariant()
    def completed_means_that_they_met_and_a_no_show_that_the_member_was_not_there(self) -> None:
        if any(isinstance(event, OutcomeCorrected) for event in self.told):
            return
        if self.session.status == "completed":
            assert self.session.attendance.met
        if self.session.status == "provider_missed":
            seen, least = self.session.attendance, timedelta(minutes=self.session.policy.together_minutes)
            assert not seen.met or (seen.first_left == "provider" and seen.together < least)
        if self.session.status == "member_no_show":
            assert not was_present(self.session, "member")


Life.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


@pytest.mark.rule("BOOK-1", "MISS-1", "CRED-3", "CONF-2", "RESC-1", "RESC-3", "EXT-1")
class TestLife(Life.TestCase):  # type: ignore[misc, valid-type]
    """A session is settled once, never leaves a terminal state, and always knows what is due next."""
