"""Providers: their hours, holidays and time off, and what takes their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from makegood_availability.domain.holds import SLOT_TAKEN
from makegood_calendar.hours import Span
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule, SlotRules
from makegood_calendar.slots import Busy, free_starts
from makegood_calendar.zones import instant
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    DateHours,
    Event,
    Modality,
    SchedulePublished,
    SessionType,
    Specialty,
    TimeOffAdded,
    WeeklyHours,
)
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason

from makegood_cli.year.calendar import Region, illness
from makegood_cli.year.simulation import Simulation

if TYPE_CHECKING:
    from makegood_cli.year.sessions import SessionRun

_DAY: Final = timedelta(days=1)
_SHIFTS: Final = (((8 * 60, 12 * 60), (13 * 60, 17 * 60)), ((9 * 60, 18 * 60),), ((12 * 60, 20 * 60),))
"""Hours of a working day, in minutes after local midnight."""
_TALKING: Final[list[Modality]] = ["video", "audio", "chat"]
_SICK_DAYS: Final = 5
_BEFORE_WORK: Final = timedelta(hours=6, minutes=30)


class Provider:
    """One provider. `busy` has the spans that sessions and offers block, by the id of each."""

    def __init__(self, simulation: Simulation, number: int, region: Region, specialty: Specialty) -> None:
        random = simulation.random
        self._simulation = simulation
        self.id = f"year-provider-{number:04}"
        self.region, self.specialty = region, specialty
        self.zone = ZoneInfo(region.time_zone)
        self.miss_rate = random.betavariate(1.3, 36)
        """The share of sessions that they miss: a few per cent for most, more for some."""
        self.busy: dict[str, Span] = {}
        self.sessions: dict[str, SessionRun] = {}
        """Those that are not over."""
        self.time_off: list[Span] = []
        self.on_opened: Callable[[Cause], None] = lambda cause: None
        """Called when time of theirs has opened again."""
        self.schedule: Schedule
        self._sequence = self._version = 0
        self._shift = random.choice(_SHIFTS)
        self._days = sorted(random.sample(range(5), random.choice((4, 4, 5))))

    def begin(self) -> None:
        """Publishes the first schedule, and plans the year."""
        simulation, random = self._simulation, self._simulation.random
        self._publish_schedule()
        if random.random() < 0.3:  # other hours from some day on
            simulation.after(timedelta(days=random.randrange(60, 300)), self._change_hours)
        starts_on = simulation.starts_at.date()
        summer, spring = 182 + 7 * random.randrange(8), 50 + random.randrange(70)
        for day_of_year, days in ((spring, 7), (summer, 14), (357, 9)):
            first = date(starts_on.year, 1, 1) + day_of_year * _DAY
            if first < starts_on:
                first = first.replace(year=first.year + 1)
            announced = timedelta(days=random.randrange(25, 45))
            simulation.at(self._midnight(first) - announced, partial(self._take_off, first, days))
        for _ in range(_SICK_DAYS):
            day = (simulation.starts_at + timedelta(days=random.randrange(2, 364))).date()
            if random.random() < illness(day) / 1.8:
                simulation.at(self._midnight(day) + _BEFORE_WORK, partial(self._take_off, day, 1))

    def publish(self, event: Event, cause: Cause) -> Cause:
        """Publishes an event of the topic of schedules."""
        self._sequence += 1
        return self._simulation.publish(event, sequence=self._sequence, cause=cause)

    def rules(self, length_minutes: int, modality: Modality) -> SlotRules:
        """What the schedule offers a member now."""
        return SlotRules(
            self.schedule, self.time_off, None, length_minutes=length_minutes, modality=modality, venue_id=None,
            now=self._simulation.now,
        )  # fmt: skip

    def free(self, rules: SlotRules, within: Span, others: Sequence[Span]) -> Iterable[datetime]:
        """The starts in the span that can be booked. `others`: when the member is busy."""
        return free_starts(rules, within, Busy(list(self.busy.values()), others))

    def taken_start(self) -> datetime | None:
        """A start ahead that could have been booked, if nobody had. None if there is none."""
        notice = self._simulation.now + self.schedule.minimum_notice
        starts = [run.session.booked.starts_at for run in self.sessions.values()]
        ahead = [start for start in starts if start > notice]
        return self._simulation.random.choice(ahead) if ahead else None

    def refusals(self, rules: SlotRules, session_id: str, starts_at: datetime, blocked: Span) -> list[Reason]:
        """Why a session cannot be held: the schedule's reasons, then what takes the time already."""
        found = list(rules.refusals(starts_at))
        taken = (span for key, span in self.busy.items() if key != session_id)
        if any(start < blocked[1] and blocked[0] < end for start, end in taken):
            found.append(SLOT_TAKEN)
        return found

    def _midnight(self, day: date) -> datetime:
        return instant(day, 0, self.zone)

    def _publish_schedule(self) -> None:
        year = self._simulation.starts_at.year
        closed = sorted(self.region.holidays(year) | self.region.holidays(year + 1))
        lengths = (30, 60) if self.specialty == "psychiatry" else (30, 45, 60)
        self._version += 1
        event = SchedulePublished(
            provider_id=self.id,
            schedule_version=self._version,
            time_zone=self.region.time_zone,
            specialty=self.specialty,
            session_types=[SessionType(length_minutes=each, modalities=_TALKING) for each in lengths],
            minimum_notice_minutes=120,
            horizon_days=60,
            weekly=tuple(WeeklyHours(weekday=d, start=s, until=u) for d in self._days for s, u in self._shift),
            exceptions=tuple(DateHours(day=day, hours=()) for day in closed),
            buffer_after_minutes=10,
            slot_step_minutes=15,
        )
        self.schedule = schedule_of(event)
        self.publish(event, self._simulation.begin())

    def _change_hours(self) -> None:
        self._shift = self._simulation.random.choice([shift for shift in _SHIFTS if shift != self._shift])
        self._publish_schedule()

    def _take_off(self, first: date, days: int) -> None:
        """Takes days off and gives up the sessions on them (AVAIL-1)."""
        starts_at, ends_at = self._midnight(first), self._midnight(first + days * _DAY)
        hit = [run for run in self.sessions.values() if run.overlaps(starts_at, ends_at)]
        self.time_off = [span for span in self.time_off if span[1] > self._simulation.now] + [(starts_at, ends_at)]
        self._version += 1
        off = TimeOffAdded(
            provider_id=self.id,
            schedule_version=self._version,
            time_off_id=new_id(),
            starts_at=starts_at,
            ends_at=ends_at,
            cancels=tuple(run.id for run in hit),
        )
        cause = self.publish(off, self._simulation.begin())
        for run in hit:
            self._simulation.soon(partial(run.call_off_for_time_off, cause))
