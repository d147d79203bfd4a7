"""Answers "why can't I book?" (BOOK-8) from booking's own read models, without asking any other service."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from makegood_calendar.hours import Span
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import Queries
from makegood_contracts.reasons import Reason
from makegood_plans.coverage import covering
from makegood_plans.funding import OVERDUE

from makegood_booking.domain import bookability
from makegood_booking.domain.bookability import (
    MOST_SLOTS,
    NO_KIND,
    NOTHING_TOLD,
    BookabilityVerdict,
    MemberContext,
    Question,
    SessionKind,
    TakenTime,
)
from makegood_booking.domain.coverage import latest, sessions_left
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import PastBooking, RebookingContext
from makegood_booking.domain.remedies import RemedyContext
from makegood_booking.domain.rooms import Room, is_available, room_reasons
from makegood_booking.store import calendars
from makegood_booking.store.bookability_data import BookabilityData, StoredData, read_bookability_data
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.rooms import active_room, read_rooms
from makegood_booking.store.sessions import read_rights

FIRST_WINDOW: Final = timedelta(days=4)
"""The length of the first window. It contains nearly every answer. Each further window is twice as long, up to the
provider's horizon.
"""
_MARGIN: Final = timedelta(hours=12)
"""The longest session with its buffers: what touches those that start in a window can lie that far outside it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BookabilityResult:
    """A verdict, and what its remedies depend on."""

    verdict: BookabilityVerdict
    remedy_context: RemedyContext
    time_zone: str
    """The provider's time zone, or UTC if none is known."""


async def read_to_judge(
    queries: Queries, room_id: str, policy: Policy, now: datetime, starts_at: datetime | None = None
) -> StoredData | None:
    """What `judge_bookability` takes: nearly always all that it needs. None if there is no such room."""
    at = now if starts_at is None else min(max(starts_at, now), now + timedelta(days=policy.horizon_days))
    return await read_bookability_data(queries, room_id, now, (at - _MARGIN, at + FIRST_WINDOW + _MARGIN))


async def judge_bookability(
    queries: Queries, stored: StoredData, policy: Policy, question: Question, now: datetime
) -> BookabilityResult:
    """Never fails. If something cannot be read or understood, the reason is `temporary-interruption` (BOOK-8)."""
    room, zone = stored.room, "UTC"
    known = RemedyContext(room.id, room.member_id, room.provider_id)
    closed = room_reasons(room, stored.active_at, policy, now)
    try:
        data = stored.understood()
        if data.schedule is not None:
            zone = data.schedule.hours.zone.key
        known = _for_remedies(known, data, now)
        rights = await read_rights(queries, room.id, room.member_id, now) if closed else ()
        context = _context(room, stored.active_at, policy, data, rights)
        verdict = await _judge(context, _Search(queries, context, stored.within, data.taken, now), question, now)
        known = replace(known, purchasable=verdict.can_purchase)
    except Exception as error:  # whatever the error is, the member gets an answer, never a bare 500
        _log.error("bookability could not be judged", room_id=room.id, error=type(error).__name__)
        verdict = BookabilityVerdict((*closed, NOTHING_TOLD))
    return BookabilityResult(verdict, known, zone)


async def read_member_contexts(
    queries: Queries, policies: PolicyCache, room_ids: Collection[str], now: datetime
) -> dict[str, MemberContext]:
    """What is known about these rooms, by id. If nothing can be rebooked (MISS-4), only that much is read."""
    policy = await policies.current(queries)
    found = {}
    for room_id, place in (await read_rooms(queries, room_ids)).items():
        room, active_at = place.room, place.active_at
        rights = await read_rights(queries, room_id, room.member_id, now)
        found[room_id] = (
            _context(room, active_at, policy, await _read(queries, room_id, now), rights)
            if rights
            else MemberContext(room, active_at, policy)
        )
    return found


async def rebooking_context(queries: Queries, room: Room, now: datetime) -> RebookingContext:
    """A room and what can be rebooked in it (MISS-4)."""
    other = await active_room(queries, room.member_id, room.provider_id)
    return RebookingContext(
        room,
        await has_schedule(queries, room.provider_id, now),
        another_room=other is not None and other.id != room.id,
        rights=await read_rights(queries, room.id, room.member_id, now),
    )


async def _read(queries: Queries, room_id: str, now: datetime) -> BookabilityData:
    stored = await read_bookability_data(queries, room_id, now)
    assert stored is not None  # rooms are never deleted
    return stored.understood()


def _context(
    room: Room, active_at: datetime, policy: Policy, data: BookabilityData, rights: Sequence[PastBooking]
) -> MemberContext:
    return MemberContext(
        room,
        active_at,
        policy,
        data.coverage,
        data.lots,
        data.owes,
        data.schedule,
        another_room=data.active_room_id not in (None, room.id),
        rights=rights,
    )


async def _schedule(queries: Queries, provider_id: str) -> Schedule | None:
    published = await calendars.read_schedule(queries, provider_id)
    return None if published is None else schedule_of(published)


async def has_schedule(queries: Queries, provider_id: str, now: datetime) -> bool:
    """Whether the provider can be booked at all, as far as booking knows (ROOM-1, ROOM-3)."""
    return is_available(await _schedule(queries, provider_id), now)


async def remedy_context_of(queries: Queries, at: RemedyContext, now: datetime) -> RemedyContext:
    """Everything that remedies depend on, for these people in this room."""
    return _for_remedies(at, await _read(queries, at.room_id, now), now)


def _for_remedies(at: RemedyContext, data: BookabilityData, now: datetime) -> RemedyContext:
    spoken_of, schedule = latest(data.coverage, now), data.schedule
    return replace(
        at,
        plan_kind=spoken_of.plan.kind if spoken_of else None,
        provider_available=is_available(schedule, now),
        active_room_id=data.active_room_id if data.active_room_id != at.room_id else None,
        sessions_left=sessions_left(data.coverage, data.lots, schedule.specialty if schedule else "therapy", now),
    )


async def _judge(context: MemberContext, search: _Search, question: Question, now: datetime) -> BookabilityVerdict:
    if question.starts_at is not None:
        return await _judge_start(context, search, question, question.starts_at, now)
    kinds = [each for each in bookability.kinds_in_plan(context, question, now) if bookability.offered(context, each)]
    if context.rights:  # first the session that can be rebooked
        kinds.sort(key=lambda each: bool(bookability.in_the_way(context, each, question.by, now)))
    for each in kinds:
        slots = await search.payable(each, now, MOST_SLOTS)
        if slots:
            room = bookability.in_the_way(context, each, question.by, now)
            forbids = (*room, OVERDUE) if context.owes else room
            return _verdict(context, forbids, each, () if forbids else tuple(slots), slots[0])
    kind = bookability.kind_in_question(context, question, now)
    first = await search.any(kind) if kind is not None else None
    at = first or now
    room = bookability.in_the_way(context, kind or NO_KIND, question.by, now)
    reasons = (*room, *bookability.pay_reasons(context, at, kind or NO_KIND, now))
    if first is None:
        reasons = (*reasons, bookability.nothing_free(context, kind))
    return _verdict(context, reasons, kind, (), at)


async def _judge_start(
    context: MemberContext, search: _Search, question: Question, starts_at: datetime, now: datetime
) -> BookabilityVerdict:
    """Whether exactly this session could be booked. `slots` are the starts from its own on that can be booked."""
    asked = bookability.kind_in_question(context, question, now)
    kind = asked or NO_KIND
    taken = await search.taken((starts_at, starts_at), kind)
    room = bookability.in_the_way(context, kind, question.by, now)
    reasons = (
        *room,
        *bookability.slot_reasons(context, starts_at, kind, taken, now),
        *bookability.pay_reasons(context, starts_at, kind, now),
    )
    slots = [] if context.owes or room else await search.payable(kind, starts_at, MOST_SLOTS)
    return _verdict(context, reasons, asked, tuple(slots), starts_at)


def _verdict(
    context: MemberContext,
    reasons: tuple[Reason, ...],
    kind: SessionKind | None,
    slots: tuple[datetime, ...],
    at: datetime,
) -> BookabilityVerdict:
    covered_by = covering(context.coverage, at)
    return BookabilityVerdict(
        reasons,
        kind,
        slots,
        can_purchase=covered_by is not None and covered_by.plan.purchasable,
        costs=bookability.costs(context, at, kind) if kind is not None else None,
        coverage=covered_by,
    )


class _Search:
    """Looks for slots window by window. The first window was read together with the room."""

    def __init__(self, queries: Queries, context: MemberContext, known: Span, taken: TakenTime, now: datetime) -> None:
        """`taken`: what touches the time `known`."""
        self._context = context
        self._now = now
        self._queries = queries
        self._known = known
        self._taken = taken
        self._looked: dict[tuple[int, Span], tuple[int, list[datetime]]] = {}
        """What is free depends only on the length, so kinds that differ in their modality share a search."""

    async def payable(self, kind: SessionKind, start: datetime, most: int) -> list[datetime]:
        """The first starts from `start` on that are free, and for which the plan pays."""
        bounds = bookability.startable(self._context, kind, self._now)
        found: list[datetime] = []
        if bounds is not None and (start := max(start, bounds[0])) < bounds[1]:
            for span in bookability.payable(self._context, kind, start, bounds[1]):
                found += await self._within(kind, span, most - len(found))
                if len(found) == most:
                    break
        return found

    async def any(self, kind: SessionKind) -> datetime | None:
        """The first start that is free, whether or not the plan pays."""
        bounds = bookability.startable(self._context, kind, self._now)
        found = await self._within(kind, bounds, 1) if bounds is not None else []
        return found[0] if found else None

    async def taken(self, span: Span, kind: SessionKind) -> TakenTime:
        """What touches sessions of this kind that start within a span, including its end."""
        room, schedule = self._context.room, self._context.schedule
        before = schedule.buffer_before if schedule else timedelta()
        after = (schedule.buffer_after if schedule else timedelta()) + timedelta(minutes=kind.length_minutes)
        start, end = span[0] - before, span[1] + after
        if self._known[0] <= start and end <= self._known[1]:
            return self._taken
        return await calendars.read_taken(self._queries, room.provider_id, room.member_id, start, end, self._now)

    async def _within(self, kind: SessionKind, span: Span, most: int) -> list[datetime]:
        before, found = self._looked.get((kind.length_minutes, span), (0, []))
        if len(found) >= most or len(found) < before:  # enough, or there are no more
            return found[:most]
        found = await self._look_within(kind, span, most)
        self._looked[kind.length_minutes, span] = most, found
        return found

    async def _look_within(self, kind: SessionKind, span: Span, most: int) -> list[datetime]:
        found: list[datetime] = []
        start, width = span[0], FIRST_WINDOW
        known_until = self._known[1] - _MARGIN
        while start < span[1] and len(found) < most:
            part = start, min(span[1], known_until if start < known_until else start + width)
            taken = await self.taken(part, kind)
            found += islice(bookability.free(self._context, kind, part, taken, self._now), most - len(found))
            start, width = part[1], width * 2
        return found
