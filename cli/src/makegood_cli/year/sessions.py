"""One session, from its request to its ending, as the rules of booking, availability and credits have it.

Each step is what one service does about an event, a few milliseconds after it. The rules are the services' own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from makegood_availability.domain.holds import FIRST_SEQUENCE, MEMBER_BUSY, is_reopened, slot_fields
from makegood_booking.domain import booking, moves
from makegood_booking.domain.attendance import leave, next_due, time_passed
from makegood_booking.domain.booking import BookingRequest, request_session
from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.rescheduling import RescheduleCommand, reschedule
from makegood_booking.domain.session import AGREED, Session, Transition
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    CancelCause,
    CreditHeld,
    MemberNoShow,
    MoveCreditHeld,
    Party,
    ProviderMissed,
    ReconfirmationAsked,
    ReleaseCause,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
)
from makegood_contracts.ids import new_id
from makegood_credits.domain.endings import ending_of, move_dropped
from makegood_credits.domain.holding import Hold, HoldRequest, hold
from makegood_credits.domain.moving import MoveRequest, apply_move, fund_move
from makegood_credits.domain.settling import settle
from makegood_credits.handlers import holds as hold_events
from makegood_credits.handlers import moves as move_events
from makegood_notifications.domain.announcements import REMINDERS

from makegood_cli.year import behaviour
from makegood_cli.year.messages import of_session
from makegood_cli.year.simulation import Simulation

if TYPE_CHECKING:
    from makegood_cli.year.members import Member

_RELEASED: Final[dict[type[Any], ReleaseCause]] = {
    SessionRejected: "rejected",
    SessionDeclined: "declined",
    SessionExpired: "expired",
    SessionCancelled: "cancelled",
    SessionCompleted: "completed",
    ProviderMissed: "provider_missed",
    MemberNoShow: "member_no_show",
}


class SessionRun:
    """A session of one member with their provider. `on_over` is told the event that ended it."""

    session: Session

    def __init__(self, simulation: Simulation, member: Member, on_over: Callable[[Any], None]) -> None:
        self._simulation, self._member, self._provider = simulation, member, member.provider
        self._on_over = on_over
        self._hold: Hold | None = None
        self._added: Hold | None = None
        self._slot_events = 0
        self._due: datetime | None = None
        self.id = ""

    def book(self, request: BookingRequest) -> None:
        """The member asks for the session."""
        now, member = self._simulation.now, self._member
        asked = request_session(new_id(), request, member.room, "member", STANDARD, now, self._provider.specialty)
        self.id = asked.session.id
        self._provider.sessions[self.id] = self
        member.seen()
        self._apply(asked, self._simulation.begin())

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether the session takes place in part of this time."""
        booked = self.session.booked
        return booked.starts_at < end and start < booked.ends_at

    def call_off_for_time_off(self, cause: Cause) -> None:
        """The provider gives the session up for time off."""
        self._apply(call_off(self.session, "provider", "time_off", self._simulation.now), cause)

    def call_off_for_erasure(self, why: CancelCause, cause: Cause) -> None:
        """One of the parties was erased (NOTE-5)."""
        self._apply(call_off(self.session, "system", why, self._simulation.now), cause)

    def act(self, rule: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Somebody does something now, if the rules allow it."""
        if not self.session.over or rule is leave:
            changed = rule(self.session, *arguments, self._simulation.now, **options)
            if isinstance(changed, Transition):
                self._apply(changed, self._simulation.begin())

    def move(self, by: Party, starts_at: datetime) -> None:
        """A party asks for another time. Without enough notice, members do not (RESC-1)."""
        changed = reschedule(
            self.session, RescheduleCommand(starts_at), by, new_id(), self._provider.specialty, self._simulation.now
        )
        if isinstance(changed, Transition):
            self._apply(changed, self._simulation.begin())

    def _apply(self, changed: Transition, cause: Cause) -> None:
        self.session = changed.session
        for event in changed.events:
            published: Any = event
            following = self._simulation.publish(event, sequence=published.session_version, cause=cause)
            self._follow(published, following)
            told = of_session(published)
            self._member.messages.tell(self._member.parties, told, self.id, following)
        due = next_due(self.session)
        if due is not None and due != self._due:
            self._due = due
            self._simulation.at(due, lambda: self._time_passes(due))

    def _time_passes(self, due: datetime) -> None:
        if next_due(self.session) == due:
            self._due = None
            self._apply(time_passed(self.session, self._simulation.now), self._simulation.begin())

    def _follow(self, event: Any, cause: Cause) -> None:
        """Plans what services and people do about an event of the session."""
        soon = self._simulation.soon
        match event:
            case SessionRequested():
                soon(lambda: self._hold_slot(event, cause))
                soon(lambda: self._hold_credit(event, cause))
            case SessionReserved():
                assert self._hold is not None
                self._hold.firm = True
                soon(lambda: self._member.took_offer(event.starts_at, cause))
                behaviour.after_reserved(self._simulation, self, self._member)
            case SessionConfirmed():
                self._remind(event, cause)
                behaviour.before_the_start(self._simulation, self, self._member)
            case ReconfirmationAsked():
                behaviour.when_asked_again(self._simulation, self)
            case SessionMoveRequested():
                soon(lambda: self._fund_move(event, cause))
            case SessionMoveFunded():
                soon(lambda: self._move_slot(event, cause))
            case SessionMoved():
                soon(lambda: self._settle_move(event, cause))
                self._member.spans[self.id] = (event.starts_at, event.ends_at)
                if event.confirmed:
                    self._remind(event, cause)
                    behaviour.before_the_start(self._simulation, self, self._member)
                else:
                    behaviour.after_reserved(self._simulation, self, self._member, again=True)
            case SessionMoveRefused():
                soon(lambda: self._drop_move(cause))
            case _ if type(event) in _RELEASED:
                published_at = self._simulation.now
                self._provider.sessions.pop(self.id, None)
                self._member.spans.pop(self.id, None)
                soon(lambda: self._settle(event, published_at, cause))
                soon(lambda: self._release_slot(event, cause))
                self._on_over(event)

    def _hold_slot(self, asked: SessionRequested, cause: Cause) -> None:
        provider, start, end = self._provider, asked.starts_at, asked.ends_at
        blocked = provider.schedule.blocked(start, end)
        offer = self._member.offered_for(asked)
        rules = provider.rules(asked.length_minutes, asked.modality)
        reasons = provider.refusals(rules, offer or self.id, start, blocked)
        if any(one < end and start < other for one, other in self._member.spans.values()):
            reasons.append(MEMBER_BUSY)
        self._slot_events = FIRST_SEQUENCE
        answer: SlotHeld | SlotRefused
        if reasons:
            answer = SlotRefused(**slot_fields(asked), reasons=reasons)
        else:
            self._member.spans[self.id] = (start, end)
            provider.busy.pop(offer or "", None)  # the booking has it now
            provider.busy[self.id] = blocked
            answer = SlotHeld(
                **slot_fields(asked), hold_until=asked.hold_until, blocked_from=blocked[0], blocked_until=blocked[1]
            )
        following = self._simulation.publish(answer, sequence=self._slot_events, cause=cause)
        rule: Any = booking.slot_refused if reasons else booking.slot_held
        self._hear(rule, answer, following)

    def _hold_credit(self, asked: SessionRequested, cause: Cause) -> None:
        book = self._member.account.book
        result = hold(book, HoldRequest.of(asked), self._simulation.now)
        self._hold = result if isinstance(result, Hold) else None
        self._member.account.close(cause)
        answer = hold_events.answer(asked, book, result)
        following = self._simulation.publish(answer, sequence=1, cause=cause)
        rule: Any = booking.credit_held if isinstance(answer, CreditHeld) else booking.credit_refused
        self._hear(rule, answer, following)

    def _hear(self, rule: Callable[[Session, Any, datetime], Transition], event: Any, cause: Cause) -> None:
        """Booking hears the answer of another service."""
        self._simulation.soon(lambda: self._apply(rule(self.session, event, self._simulation.now), cause))

    def _settle(self, event: Any, published_at: datetime, cause: Cause) -> None:
        if self._hold is not None:
            settle(self._member.account.book, self._hold, ending_of(event, published_at), self._simulation.now)
            self._member.account.close(cause)

    def _release_slot(self, event: Any, cause: Cause) -> None:
        if self._provider.busy.pop(self.id, None) is None:
            return
        reopened = is_reopened(event.ends_at, self._simulation.now)
        self._slot_events += 1
        released = SlotReleased(**slot_fields(event), cause=_RELEASED[type(event)], reopened=reopened)
        following = self._simulation.publish(released, sequence=self._slot_events, cause=cause)
        if reopened:
            self._provider.on_opened(following)

    def _fund_move(self, asked: SessionMoveRequested, cause: Cause) -> None:
        held = self._hold
        assert held is not None
        result = fund_move(self._member.account.book, held, MoveRequest.of(asked), self._simulation.now)
        held.answers += 1
        self._added = result if isinstance(result, Hold) else None
        self._member.account.close(cause)
        answer = move_events.answer(asked, held, result)
        following = self._simulation.publish(answer, sequence=held.answers, cause=cause)
        rule: Any = moves.move_credit_held if isinstance(answer, MoveCreditHeld) else moves.move_credit_refused
        self._hear(rule, answer, following)

    def _move_slot(self, asked: SessionMoveFunded, cause: Cause) -> None:
        provider, start, end = self._provider, asked.new_starts_at, asked.new_ends_at
        blocked = provider.schedule.blocked(start, end)
        rules = provider.rules(asked.new_length_minutes, asked.modality)
        reasons = provider.refusals(rules, self.id, start, blocked)
        others = (span for key, span in self._member.spans.items() if key != self.id)
        if any(one < end and start < other for one, other in others):
            reasons.append(MEMBER_BUSY)
        self._slot_events += 1
        answer: SlotMoved | SlotMoveRefused
        if reasons:
            answer = SlotMoveRefused(**slot_fields(asked), move_id=asked.move_id, reasons=reasons)
        else:
            provider.busy[self.id] = blocked
            new = slot_fields(asked) | {"starts_at": start, "ends_at": end}
            answer = SlotMoved(
                **new, move_id=asked.move_id, old_starts_at=asked.starts_at, old_ends_at=asked.ends_at,
                blocked_from=blocked[0], blocked_until=blocked[1],
            )  # fmt: skip
        following = self._simulation.publish(answer, sequence=self._slot_events, cause=cause)
        rule: Any = moves.slot_move_refused if reasons else moves.slot_moved
        self._hear(rule, answer, following)
        if not reasons:
            provider.on_opened(following)

    def _settle_move(self, event: SessionMoved, cause: Cause) -> None:
        assert self._hold is not None
        apply_move(self._member.account.book, self._hold, self._added, event, self._simulation.now)
        self._added = None
        self._member.account.close(cause)

    def _drop_move(self, cause: Cause) -> None:
        if self._added is not None:
            settle(self._member.account.book, self._added, move_dropped(self._simulation.now), self._simulation.now)
            self._added = None
            self._member.account.close(cause)

    def _remind(self, event: SessionConfirmed | SessionMoved, cause: Cause) -> None:
        for moment in event.remind_at:
            self._simulation.at(moment, lambda: self._send_reminder(event.starts_at, cause))

    def _send_reminder(self, starts_at: datetime, cause: Cause) -> None:
        """REM-1: never after the session was cancelled or moved."""
        if self.session.status in AGREED and self.session.booked.starts_at == starts_at:
            self._member.messages.tell(self._member.parties, REMINDERS, self.id, cause)
