"""What the API asks about slots: which ones are free, and who is not free for one (AVAIL-2, RESC-2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Literal

from makegood_calendar.slot_rules import Schedule, SlotRules, Terms, Venue
from makegood_calendar.slots import Busy, free_starts, is_free, window
from makegood_chassis.database import Queries
from makegood_chassis.refusals import NotFound
from makegood_contracts.events import Modality

from makegood_availability.dependencies import Dependencies
from makegood_availability.store import schedules
from makegood_availability.store.busy_times import BusyTimes, busy_times, member_of

_FIRST_SEARCHED: Final = timedelta(days=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuestion:
    """A kind of session with a provider. `member_id`: the member whose own sessions count, if there is one."""

    provider_id: str
    length_minutes: int
    modality: Modality
    venue_id: str | None
    member_id: str | None

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.length_minutes)

    def rules(
        self, schedule: Schedule, venue: Venue | None, taken: BusyTimes, now: datetime, terms: Terms = "member"
    ) -> SlotRules:
        """The times at which the provider offers it."""
        return SlotRules(
            schedule,
            taken.time_off,
            venue,
            length_minutes=self.length_minutes,
            modality=self.modality,
            venue_id=self.venue_id,
            now=now,
            terms=terms,
        )


async def find_starts(
    queries: Queries, dependencies: Dependencies, asked: SlotQuestion, start: datetime, end: datetime, most: int
) -> tuple[Schedule | None, list[datetime]]:
    """The provider's schedule, and the first starts within [start, end) that can be booked now (AVAIL-2)."""
    search = _Search(asked, start, end, most, dependencies.clock.now())
    last = dependencies.schedules.last_read(asked.provider_id)
    if last is not None and asked.venue_id is None:
        # Mostly the schedule has not changed, and the busy times come with the version that it has now.
        version, schedule = last
        starts = await search.starts(queries, schedule, None, version)
        if starts is not None:
            return schedule, starts
    found, venue = await _schedule_and_venue(queries, dependencies, asked)
    return found, [] if found is None else await search.starts(queries, found, venue) or []


@dataclass(frozen=True, slots=True)
class _Search:
    """A search for the first `most` starts within [start, end)."""

    asked: SlotQuestion
    start: datetime
    end: datetime
    most: int
    now: datetime

    async def starts(
        self, queries: Queries, schedule: Schedule, venue: Venue | None, version: int | None = None
    ) -> list[datetime] | None:
        """The starts by this schedule. None if `version` is given and the schedule has another one by now."""
        asked, starts = self.asked, list[datetime]()
        within = window(asked.rules(schedule, venue, BusyTimes(), self.now), self.start, self.end)
        if within is None and version is not None:
            return None
        searched = _FIRST_SEARCHED
        # Nearly every page is full within the first days, so the days after them are read only if needed.
        while within is not None and len(starts) < self.most:
            part = within[0], min(within[1], within[0] + searched)
            taken = await busy_times(
                queries,
                asked.provider_id,
                part[0] - schedule.buffer_before,
                part[1] + asked.length + schedule.buffer_after,
                venue_id=asked.venue_id,
                member_id=asked.member_id,
            )
            if version not in (None, taken.schedule_version):
                return None
            busy = Busy(taken.provider, [*taken.venue, *taken.member])
            free = free_starts(asked.rules(schedule, venue, taken, self.now), part, busy)
            starts += islice(free, self.most - len(starts))
            within = (part[1], within[1]) if part[1] < within[1] else None
            searched *= 2
        return starts


async def who_is_not_free(
    queries: Queries,
    dependencies: Dependencies,
    asked: SlotQuestion,
    starts_at: datetime,
    *,
    by_provider: bool,
    session_id: str | None,
) -> Literal["provider", "venue", "member"] | None:
    """Who is not free for a session at `starts_at`: the first one found. None if all are free (RESC-2). `session_id`: a
    session that would move here; its own slot counts as free.
    """
    now = dependencies.clock.now()
    terms: Terms = "member"
    if by_provider:
        terms = "provider" if session_id is None else "provider_moves"
    schedule, venue = await _schedule_and_venue(queries, dependencies, asked)
    if schedule is None:
        return "provider"
    first, last = asked.rules(schedule, venue, BusyTimes(), now, terms).bounds
    if not first <= starts_at <= last:
        return "provider"
    member_id = asked.member_id
    if by_provider and session_id is not None:
        member_id = await member_of(queries, session_id, asked.provider_id)
    taken = await busy_times(
        queries,
        asked.provider_id,
        *schedule.blocked(starts_at, starts_at + asked.length),
        venue_id=asked.venue_id,
        member_id=member_id,
        except_session=session_id,
    )
    rules = asked.rules(schedule, venue, taken, now, terms)
    refused = {reason.code for reason in rules.refusals(starts_at)}
    if "slot-not-offered" in refused or not is_free(rules, starts_at, Busy(taken.provider)):
        return "provider"
    if "venue-taken" in refused or not is_free(rules, starts_at, Busy((), taken.venue)):
        return "venue"
    return None if is_free(rules, starts_at, Busy((), taken.member)) else "member"


async def _schedule_and_venue(
    queries: Queries, dependencies: Dependencies, asked: SlotQuestion
) -> tuple[Schedule | None, Venue | None]:
    """The provider's schedule (None if they only entered time off) and the venue. Raises NotFound if either is unknown."""
    schedule = (await dependencies.schedules.load(queries, [asked.provider_id], dependencies.clock.now())).get(
        asked.provider_id
    )
    if schedule is None and await schedules.read(queries, asked.provider_id) is None:
        raise NotFound("provider")
    if asked.venue_id is None:
        return schedule, None
    venue = (await dependencies.venues.load(queries, [asked.venue_id])).get(asked.venue_id)
    if venue is None:
        raise NotFound("venue")
    return schedule, venue
