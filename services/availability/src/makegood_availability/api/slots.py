"""Slot search and the availability check (AVAIL-2, RESC-2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from makegood_calendar.slot_rules import IN_PERSON, Schedule, SlotRules, Terms, Venue
from makegood_calendar.slots import Busy, free_starts, is_free, window
from makegood_calendar.zones import local_text
from makegood_chassis.database import Queries
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Modality

from makegood_availability.api.models import AvailabilityView, SlotView
from makegood_availability.api.parameters import (
    DependenciesOf,
    How,
    Length,
    ProviderId,
    VenueOf,
    Zone,
    optional_id,
)
from makegood_availability.dependencies import Dependencies
from makegood_availability.store import schedules
from makegood_availability.store.busy_times import BusyTimes, busy_times, member_of

router = APIRouter(tags=["slots"])

LONGEST_RANGE: Final = timedelta(days=62)
FIRST_SEARCHED: Final = timedelta(days=4)
AVAILABLE: Final = AvailabilityView(available=True, message="Slot available")
NO_PROVIDER: Final = AvailabilityView(available=False, message="Provider is not available")
NO_VENUE: Final = AvailabilityView(available=False, message="Venue is not available")
NO_MEMBER: Final = AvailabilityView(available=False, message="Member is not available")


class _Slot(msgspec.Struct):
    """`SlotView`, encoded at a tenth of the cost: searches are the most frequent reads."""

    starts_at: datetime
    ends_at: datetime
    local_start: str


@router.get(
    "/v1/providers/{provider_id}/slots",
    response_model=Page[SlotView],
    responses=problems("validation", "not-found"),
)
async def search_slots(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("slots.search"))],
    dependencies: DependenciesOf,
    start: Annotated[Instant, Query(alias="from", description="Slots start at or after this.")],
    end: Annotated[Instant, Query(alias="to", description="Slots start before this; at most 62 days after `from`.")],
    length_minutes: Length,
    modality: How,
    venue_id: VenueOf = None,
    time_zone: Annotated[
        Zone | None, Query(description="Time zone of `local_start`, by default the provider's.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The slots that can be booked now.

    For a member, slots that overlap their own sessions are left out, because they could not be booked.
    """
    if start >= end:
        raise invalid("#/to", "`to` must be later than `from`.", where="query")
    if end - start > LONGEST_RANGE:
        raise invalid("#/to", "`to` may be at most 62 days after `from`.", where="query")
    _check_venue(modality, venue_id)
    last = decode_cursor(cursor, datetime)
    if last is not None:
        start = max(start, last[0] + datetime.resolution)
    now = dependencies.clock.now()
    length = timedelta(minutes=length_minutes)
    async with dependencies.database.reading() as queries:
        schedule = await _schedule(dependencies, queries, provider_id)
        venue = await _venue(dependencies, queries, venue_id)
        if schedule is None:
            return answer(200, Page[SlotView](items=[]))
        bare = _rules(schedule, BusyTimes(), venue, length_minutes, modality, venue_id, now)
        within = window(bare, start, end)
        starts: list[datetime] = []
        searched = FIRST_SEARCHED
        # Nearly every page is full within the first days, so the days after them are read only if needed.
        while within is not None and len(starts) <= limit:
            part = within[0], min(within[1], within[0] + searched)
            found = await busy_times(
                queries,
                provider_id,
                part[0] - schedule.buffer_before,
                part[1] + length + schedule.buffer_after,
                venue_id=venue_id,
                member_id=_member(access),
            )
            rules = _rules(schedule, found, venue, length_minutes, modality, venue_id, now)
            busy = Busy(found.provider, [*found.venue, *found.member])
            starts += islice(free_starts(rules, part, busy), limit + 1 - len(starts))
            within = (part[1], within[1]) if part[1] < within[1] else None
            searched *= 2
    zone = schedule.hours.zone if time_zone is None else ZoneInfo(time_zone)
    items, following = page(starts, limit, lambda at: _Slot(at, at + length, local_text(at, zone)), lambda at: (at,))
    return answer(200, {"items": items, "next_cursor": following})


@router.get(
    "/v1/providers/{provider_id}/availability",
    response_model=AvailabilityView,
    responses=problems("validation", "not-found"),
)
async def check_availability(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("slots.check"))],
    dependencies: DependenciesOf,
    starts_at: Annotated[Instant, Query(description="Start of the session.")],
    length_minutes: Length,
    modality: How,
    venue_id: VenueOf = None,
    session_id: Annotated[
        str | None, Query(max_length=64, description="A session that would move here. Its own slot counts as free.")
    ] = None,
) -> Response:
    """Whether provider, venue and member are free for this session. If several are not, the answer names the first of them.

    The member is the caller. For a provider who names a session of theirs, it is that session's member; what the member is
    doing is not told.

    Minimum notice, grid and horizon bind everybody but the provider. If the provider moves a session, it keeps the kind that was
    booked.
    """
    _check_venue(modality, venue_id)
    optional_id("#/session_id", session_id)
    now = dependencies.clock.now()
    length = timedelta(minutes=length_minutes)
    terms: Terms = "member"
    if "provider" in access.caller.roles and access.caller.subject == provider_id:
        terms = "provider" if session_id is None else "provider_moves"
    async with dependencies.database.reading() as queries:
        schedule = await _schedule(dependencies, queries, provider_id)
        venue = await _venue(dependencies, queries, venue_id)
        if schedule is None:
            return answer(200, NO_PROVIDER)
        first, last = _rules(schedule, BusyTimes(), venue, length_minutes, modality, venue_id, now, terms).bounds
        if not first <= starts_at <= last:
            return answer(200, NO_PROVIDER)
        blocked_from, blocked_to = schedule.blocked(starts_at, starts_at + length)
        member = _member(access)
        if terms == "provider_moves" and session_id is not None:
            member = await member_of(queries, session_id, provider_id)
        found = await busy_times(
            queries,
            provider_id,
            blocked_from,
            blocked_to,
            venue_id=venue_id,
            member_id=member,
            except_session=session_id,
        )
    rules = _rules(schedule, found, venue, length_minutes, modality, venue_id, now, terms)
    refused = {reason.code for reason in rules.refusals(starts_at)}
    if "slot-not-offered" in refused or not is_free(rules, starts_at, Busy(found.provider)):
        return answer(200, NO_PROVIDER)
    if "venue-taken" in refused or not is_free(rules, starts_at, Busy((), found.venue)):
        return answer(200, NO_VENUE)
    if not is_free(rules, starts_at, Busy((), found.member)):
        return answer(200, NO_MEMBER)
    return answer(200, AVAILABLE)


def _check_venue(modality: Modality, venue_id: str | None) -> None:
    if modality == IN_PERSON and venue_id is None:
        raise invalid("#/venue_id", "An in-person session needs a venue.", where="query")
    if modality != IN_PERSON and venue_id is not None:
        raise invalid("#/venue_id", "Only an in-person session can have a venue.", where="query")
    optional_id("#/venue_id", venue_id)


async def _schedule(dependencies: Dependencies, queries: Queries, provider_id: str) -> Schedule | None:
    """The provider's schedule; None if they only entered time off. Raises the 404 problem for an unknown provider."""
    found = (await dependencies.schedules.load(queries, [provider_id])).get(provider_id)
    if found is None and await schedules.read(queries, provider_id) is None:
        raise not_found("provider")
    return found


async def _venue(dependencies: Dependencies, queries: Queries, venue_id: str | None) -> Venue | None:
    """The venue asked for. Raises the 404 problem for an unknown one."""
    if venue_id is None:
        return None
    found = (await dependencies.venues.load(queries, [venue_id])).get(venue_id)
    if found is None:
        raise not_found("venue")
    return found


def _rules(
    schedule: Schedule,
    found: BusyTimes,
    venue: Venue | None,
    length_minutes: int,
    modality: Modality,
    venue_id: str | None,
    now: datetime,
    terms: Terms = "member",
) -> SlotRules:
    return SlotRules(
        schedule,
        found.time_off,
        venue,
        length_minutes=length_minutes,
        modality=modality,
        venue_id=venue_id,
        now=now,
        terms=terms,
    )


def _member(access: Access) -> str | None:
    return access.caller.subject if "member" in access.caller.roles else None
