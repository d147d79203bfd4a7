"""Members: their plans and credits, and when they want to meet."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.rooms import close_room, is_inactive, open_room, restart_room
from makegood_calendar.zones import instant
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    MemberNoShow,
    MessagePosted,
    Modality,
    PersonErased,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionRequested,
)
from makegood_contracts.events.rooms import RoomFact
from makegood_contracts.ids import new_id
from makegood_credits.domain.plans import PLANS
from makegood_notifications.domain.announcements import (
    ROOM_ENDED,
    ROOM_RESTARTED,
)
from makegood_plans.coverage import next_credits
from makegood_plans.funding import FundingResult

from makegood_cli.year.accounts import Account
from makegood_cli.year.calendar import HOUR_WEIGHTS, HOURS, WEEKDAY_WEIGHTS, appetite
from makegood_cli.year.messages import Messages, Parties
from makegood_cli.year.providers import Provider
from makegood_cli.year.sessions import SessionRun
from makegood_cli.year.simulation import Simulation
from makegood_cli.year.waitlist import Waitlist

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_PLANS: Final = {
    "out-of-pocket-4": 28, "eap-6": 14, "insurance-copay": 22, "insurance-credits": 20, "sponsored-12": 16,
}  # fmt: skip
"""How many of a hundred members have the plan."""
_CADENCES: Final = (7, 7, 7, 7, 14, 14, 28)
_PICKY: Final = 2.5 * _HOUR
_PATIENT: Final = 8 * _HOUR
"""How far from the hour they like a session may be."""
_NEAR: Final = (0, 1, -1, 2, -2, 3)
"""The days around the one they wish for that would do, too."""


class Member:
    """One member with their room, book of credits and habits."""

    def __init__(
        self, simulation: Simulation, number: int, provider: Provider, waitlist: Waitlist, messages: Messages
    ) -> None:
        random = simulation.random
        self._simulation, self._waitlist = simulation, waitlist
        self.messages, self.provider = messages, provider
        self.id = f"year-member-{number:06}"
        self.parties = Parties(self.id, provider.id, random.random() < 0.12)
        away = random.random() < 0.04
        self.time_zone = provider.region.elsewhere if away else provider.region.time_zone
        self.cancel_rate = random.betavariate(2, 20)
        self.no_show_rate = random.betavariate(0.8, 16)
        self.account = Account(simulation, self.id, provider.region.time_zone, self.parties, messages)
        self.spans: dict[str, tuple[datetime, datetime]] = {}
        """When their sessions are, by id."""
        self._runs: dict[str, SessionRun] = {}
        self._chat_events = 0
        self._seen_at = simulation.now
        self._left = False
        self._cadence = random.choice(_CADENCES)
        self._hour = random.choices(HOURS, HOUR_WEIGHTS)[0]
        self._weekday = random.choices(range(5), WEEKDAY_WEIGHTS)[0]
        self._modality: Modality = random.choices(("video", "audio", "chat"), (8, 1, 1))[0]
        self._plan_id = self._choose_plan()
        self._stays = _DAY * random.expovariate(1 / 420)

    def begin(self) -> None:
        """Enrols, gets a room, and wants to meet for the first time within days."""
        self.account.enrol(self._plan_id)
        self.room, opened = open_room(new_id(), self.id, self.provider.id, self._simulation.now)
        self._publish_room(opened, self._simulation.begin())
        self.seen()
        today = self._today()
        self._plan(today + _DAY * (2 + (self._weekday - today.weekday() - 2) % 7))
        self._simulation.after(max(self._stays, 30 * _DAY), self._leave)

    def ask_for_erasure(self) -> None:
        """Plans that they will have their data erased some day in the rest of the year."""
        left = self._simulation.ends_at - self._simulation.now
        self._simulation.after(left * self._simulation.random.uniform(0.2, 0.9), self._erase)

    def seen(self) -> None:
        """The member was active (ROOM-2)."""
        self._seen_at = self._simulation.now

    def offered_for(self, asked: SessionRequested) -> str | None:
        """The waitlist entry whose offer this booking takes."""
        return self._waitlist.offered_to(self.id, asked.starts_at)

    def took_offer(self, starts_at: datetime, cause: Cause) -> None:
        """A session is reserved, perhaps in a slot that was offered."""
        self._waitlist.took(self, starts_at, cause)

    def has_no_credit(self, starts_at: datetime, length_minutes: int) -> bool:
        """Whether nothing would pay for a session at that time."""
        return bool(self._funding(starts_at, length_minutes).reasons)

    def _funding(self, starts_at: datetime, length_minutes: int) -> FundingResult[Any, Any]:
        return self.account.funding(starts_at, length_minutes, self._modality, self.provider.specialty)

    def another_start(self, near: datetime, length_minutes: int, modality: Modality) -> datetime | None:
        """Another free start for a session, on a day around this one."""
        day = near.astimezone(self.provider.zone).date()
        starts = (self._start_on(day + offset * _DAY, length_minutes, modality) for offset in (1, 2, -1, 3, 5, 7))
        return next((each for each in starts if each is not None), None)

    # What they want

    def _plan(self, day: date) -> None:
        """They will want to meet on that day, and think of it some days before."""
        lead = min(20.0, self._simulation.random.lognormvariate(1.3, 0.7))
        self._simulation.at(instant(day, 12 * 60, self.provider.zone) - lead * _DAY, lambda: self._want(day))

    def _want(self, day: date) -> None:
        if self._left:
            return
        self._plan(day + self._cadence * _DAY)
        if self._simulation.chance(appetite(day)):
            self._try_to_book(day)

    def _try_to_book(self, day: date) -> None:
        if self._left or self.account.book.overdue:
            return
        now = self._simulation.now
        if is_inactive(self._seen_at, STANDARD, now) and not self._restart():
            return
        enrolment = self.account.enrolment_at(instant(day, self._hour * 60, self.provider.zone))
        if enrolment is None:
            self._without_credit()
            return
        lengths = enrolment.plan.lengths_of(self.provider.specialty)
        length = lengths[0] if len(lengths) == 1 or self._simulation.chance(0.8) else lengths[-1]
        tolerance = _PATIENT if self._simulation.chance(0.5) else _PICKY
        starts = (self._start_on(day + offset * _DAY, length, self._modality, tolerance) for offset in _NEAR)
        start = next((each for each in starts if each is not None), None)
        if start is None:
            self._waitlist.join(self, day, length, self._modality)
            return
        if self._simulation.chance(0.01):  # somebody else was faster
            start = self.provider.taken_start() or start
        self.book_at(start, length)

    def book_at(self, start: datetime, length: int) -> None:
        """Books, if something pays for it; most members look first."""
        if self._left:
            return
        simulation, book = self._simulation, self.account.book
        funding = self._funding(start, length)
        codes = {reason.code for reason in funding.reasons}
        sells = funding.coverage is not None and funding.coverage.plan.purchasable
        if "no-session-credits" in codes and sells and simulation.chance(0.35):
            self.account.buy(length, lambda: self.book_at(start, length))
            return
        if codes and not simulation.chance(0.1):
            if next_credits(book.enrolments, start, simulation.now) is None:
                self._without_credit()
            return
        request = BookingRequest(self.room.id, start, length, self._modality, self.time_zone, None)
        run = SessionRun(simulation, self, lambda event: self._session_over(run, event))
        run.book(request)
        self._runs[run.id] = run

    def _start_on(self, day: date, length: int, modality: Modality, tolerance: timedelta = _DAY) -> datetime | None:
        """The free start on a day that is nearest to the hour they like, at most so far from it."""
        if day.weekday() > 4:
            return None
        provider, rules = self.provider, self.provider.rules(length, modality)
        wish = instant(day, self._hour * 60, provider.zone)
        day_from, day_until = instant(day, 0, provider.zone), instant(day, 1440, provider.zone)
        within = (max(day_from, wish - tolerance), min(day_until, wish + tolerance))
        free = provider.free(rules, within, list(self.spans.values()))
        return min(free, key=lambda start: abs(start - wish), default=None)

    def _session_over(self, run: SessionRun, event: Any) -> None:
        self._runs.pop(run.id, None)
        simulation = self._simulation
        if isinstance(event, ProviderMissed | SessionDeclined | SessionExpired) or (
            isinstance(event, SessionCancelled) and event.cancelled_by == "provider"
        ):
            if simulation.chance(0.75):
                day = self._today() + _DAY * simulation.random.randrange(2, 9)
                simulation.after(simulation.between(_HOUR / 6, 30 * _HOUR), lambda: self._try_to_book(day))
        elif isinstance(event, SessionCompleted | MemberNoShow):
            self.seen()
            if simulation.chance(0.35):
                sender = self.id if simulation.chance(0.6) else self.provider.id
                simulation.after(simulation.between(_HOUR, 5 * _DAY), lambda: self._write(sender))

    def _write(self, sender: str) -> None:
        if self.room.status != "active":
            return
        if sender == self.id:
            self.seen()
        self._chat_events += 1
        message = MessagePosted(
            message_id=new_id(), room_id=self.room.id, sender_id=sender, sent_at=self._simulation.now
        )
        self._simulation.publish(message, sequence=self._chat_events, cause=self._simulation.begin())

    # Plans and money

    def _choose_plan(self, *, other_than: str = "") -> str:
        fitting = {
            plan: weight
            for plan, weight in _PLANS.items()
            if plan != other_than and PLANS[plan].lengths_of(self.provider.specialty)
        }
        return self._simulation.random.choices(list(fitting), list(fitting.values()))[0]

    def _without_credit(self) -> None:
        """The plan gives no more. Some go on with another one, and the others leave."""
        simulation = self._simulation
        if simulation.chance(0.6):
            other = self._choose_plan(other_than=self._plan_id)
            simulation.after(simulation.between(2 * _DAY, 20 * _DAY), lambda: self._change_plan(other))
        else:
            simulation.after(simulation.between(_DAY, 5 * _DAY), self._leave)

    def _change_plan(self, plan_id: str) -> None:
        if not self._left:
            self._plan_id = plan_id
            self.account.enrol(plan_id)

    # The room

    def _publish_room(self, event: RoomFact, cause: Cause) -> Cause:
        return self._simulation.publish(event, sequence=event.room_version, cause=cause)

    def _restart(self) -> bool:
        """ROOM-2: therapy goes on in an inactive room."""
        enrolment = self.account.enrolment_at(self._simulation.now)
        restarted = restart_room(
            self.room, self._seen_at, STANDARD, self._simulation.now,
            plan_kind=enrolment.plan.kind if enrolment else None, sessions_left=bool(self.account.book.available),
            provider_available=True, another_room=False,
        )  # fmt: skip
        if isinstance(restarted, str) or restarted[1] is None:
            return not isinstance(restarted, str)
        self.room = restarted[0]
        cause = self._publish_room(restarted[1], self._simulation.begin())
        self.messages.tell(self.parties, (ROOM_RESTARTED,), None, cause)
        self.seen()
        return True

    def _leave(self) -> None:
        """Ends therapy, once no session is ahead."""
        if self._left:
            return
        if self._runs:
            self._simulation.after(7 * _DAY, self._leave)
            return
        self._left = True
        self._waitlist.leave(self, "left", self._simulation.begin())
        self.room, closed = close_room(self.room, self._simulation.now, "member")
        if closed is not None:
            self._publish_room(closed, self._simulation.begin())

    def _erase(self) -> None:
        """NOTE-5: the member's data is erased, and what they had ahead ends."""
        now, simulation = self._simulation.now, self._simulation
        self._left = True
        self.messages.forget(self.id)
        cause = simulation.publish(PersonErased(person_id=self.id, erased_at=now), sequence=1, cause=simulation.begin())
        simulation.soon(lambda: self._end_everything(cause))

    def _end_everything(self, cause: Cause) -> None:
        now = self._simulation.now
        self.room, closed = close_room(self.room, now, erased="member")
        if closed is not None:
            following = self._publish_room(closed, cause)
            self.messages.tell(self.parties, ROOM_ENDED["member"], None, following)
        for run in list(self._runs.values()):
            run.call_off_for_erasure("member_erased", cause)
        self._waitlist.leave(self, "erased", cause)
        self.account.end_coverage(cause)

    def _today(self) -> date:
        return self._simulation.now.astimezone(ZoneInfo(self.provider.region.time_zone)).date()
