"""Whatever happens in whatever order: the life of a session holds its invariants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from makegood_booking.domain import attendance, booking
from makegood_booking.domain.session import OVER, Changed, CreditState, Refusal, Session
from makegood_contracts.events import Event, Party, SessionReserved
from makegood_contracts.reasons import Reason

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
    "in_session": {"completed", "cancelled"},
}
BECOMES = {**ENDINGS, "SessionReserved": "reserved", "SessionConfirmed": "confirmed", "SessionStarted": "in_session"}
REASON = [Reason(code="slot-taken", detail="Taken.")]
NO_CREDIT = [Reason(code="no-session-credits", detail="None left.")]
PARTIES = st.sampled_from(["member", "provider"])
WAITS = st.one_of(
    st.integers(0, 40 * 60).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 72).map(lambda hours: timedelta(hours=hours)),
)


class Life(RuleBasedStateMachine):
    session: Session
    now: datetime
    told: list[Event]

    @initialize(ahead=st.integers(1, 5 * 24 * 60), length=st.sampled_from([5, 30, 60]))
    def book(self, ahead: int, length: int) -> None:
        self.now = NOW
        self.session = requested(NOW + timedelta(minutes=ahead), length_minutes=length)
        self.told = []

    def take(self, result: Changed | Refusal) -> None:
        if isinstance(result, Refusal):
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
        held_or_not: Callable[[], Changed] = (
            (lambda: booking.slot_held(self.session, self.now))
            if held
            else (lambda: booking.slot_refused(self.session, REASON, self.now))
        )
        self.take(held_or_not())

    @rule(kind=st.sampled_from(["credit", "credit", "co_pay", "refused"]))
    def credit(self, kind: str) -> None:
        if kind == "refused":
            self.take(booking.credit_refused(self.session, NO_CREDIT, True, self.now))
        else:
            self.take(booking.credit_held(self.session, kind == "co_pay", self.now))

    @rule()
    def both_hold(self) -> None:
        self.slot(True)
        self.credit("credit")

    @rule()
    def lapse(self) -> None:
        self.take(booking.slot_lapsed(self.session, self.now))

    @rule(state=st.sampled_from(["returned", "forfeited", "spent"]), lapsed=st.booleans())
    def settle(self, state: CreditState, lapsed: bool) -> None:
        before = self.session.credit
        self.take(booking.credit_moved(self.session, state, "lapsed" if lapsed else "cancelled", self.now))
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
        self.take(attendance.cancel(self.session, party, accept, self.now))

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
    def completed_means_both_came_and_missed_that_the_provider_did_not(self) -> None:
        if self.session.status == "completed":
            assert self.session.both_came
        if self.session.status == "provider_missed":
            assert self.session.provider_joined_at is None
        if self.session.status == "member_no_show":
            assert self.session.member_joined_at is None


Life.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)


@pytest.mark.rule("BOOK-1", "MISS-1", "CRED-3", "CONF-2")
class TestLife(Life.TestCase):  # type: ignore[misc, valid-type]
    """A session is settled once, never leaves a terminal state, and always knows what is due next."""
