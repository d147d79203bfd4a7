"""Answers "why can't I book?" (BOOK-8) out of what booking has learnt, without asking any other service."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from makegood_calendar.hours import Span
from makegood_calendar.offers import Schedule
from makegood_calendar.published import schedule_of
from makegood_chassis.database import Queries
from makegood_contracts.reasons import Reason

from makegood_booking.domain import bookability
from makegood_booking.domain.bookability import (
    MOST_SLOTS,
    NO_KIND,
    NOTHING_TOLD,
    Calendar,
    Kind,
    Known,
    Question,
    Verdict,
)
from makegood_booking.domain.coverage import Enrolment, Lot, latest, sessions_left
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import Place
from makegood_booking.domain.remedies import Circumstances
from makegood_booking.domain.rooms import is_available, room_reasons
from makegood_booking.store import calendars, coverage
from makegood_booking.store.rooms import RoomToBook, active_room, read_rooms
from makegood_booking.store.sessions import Sessions

FIRST_STRETCH: Final = timedelta(days=4)
"""Nearly every answer is found in the first days; each further window is twice as long, up to the provider's horizon."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict, and what its remedies depend on."""

    verdict: Verdict
    circumstances: Circumstances
    time_zone: str
    """The provider's, or UTC where none is known."""


class Lookout:
    """Reads what is known of a room and judges it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def judge(
        self, place: RoomToBook, policy: Policy, question: Question, now: datetime, queries: Queries
    ) -> Found:
        """Never fails: what cannot be read or understood is a reason of its own, `temporary-interruption` (BOOK-8)."""
        room = place.room
        circumstances = Circumstances(room.id, room.member_id, room.provider_id)
        known = Known(room, place.active_at, policy)
        try:
            known = await _known(known, queries)
            circumstances = await _circumstances(
                circumstances, known.enrolments, known.lots, known.schedule, now, queries
            )
            if room_reasons(room, place.active_at, policy, now):
                rights = await self._sessions.read_rights(room.id, room.member_id, now, queries)
                known = replace(known, rights=rights, another_room=circumstances.active_room_id is not None)
            verdict = await _judge(known, question, now, queries)
            circumstances = replace(circumstances, purchasable=verdict.can_purchase)
        except Exception as error:  # whatever it is: the member gets an answer, never a bare 500
            _log.error("bookability could not be asked", room_id=room.id, error=type(error).__name__)
            reasons = (*room_reasons(room, place.active_at, policy, now), NOTHING_TOLD)
            verdict = Verdict(reasons)
        zone = known.schedule.hours.zone.key if known.schedule is not None else "UTC"
        return Found(verdict, circumstances, zone)

    async def rebookable(self, room_ids: Collection[str], now: datetime, queries: Queries) -> dict[str, Known]:
        """What is known of these rooms by id; where nothing can be rebooked (MISS-4), no more than that is asked."""
        policy = await self._sessions.policies.current(queries)
        found = {}
        for room_id, place in (await read_rooms(room_ids, queries)).items():
            room, known = place.room, Known(place.room, place.active_at, policy)
            rights = await self._sessions.read_rights(room_id, room.member_id, now, queries)
            if rights:
                other = await active_room(room.member_id, room.provider_id, queries)
                another_room = other is not None and other.id != room_id
                known = replace(await _known(known, queries), rights=rights, another_room=another_room)
            found[room_id] = known
        return found

    async def place(self, found: RoomToBook, policy: Policy, now: datetime, queries: Queries) -> Place:
        """A room and what can be rebooked in it (MISS-4)."""
        room = found.room
        other = await active_room(room.member_id, room.provider_id, queries)
        return Place(
            room,
            found.active_at,
            policy,
            await has_schedule(room.provider_id, now, queries),
            another_room=other is not None and other.id != room.id,
            rights=await self._sessions.read_rights(room.id, room.member_id, now, queries),
        )


async def _known(known: Known, queries: Queries) -> Known:
    member = known.room.member_id
    return replace(
        known,
        enrolments=await coverage.read_enrolments(member, queries),
        lots=await coverage.read_lots(member, queries),
        owes=await coverage.owes(member, queries),
        schedule=await _schedule(known.room.provider_id, queries),
    )


async def _schedule(provider_id: str, queries: Queries) -> Schedule | None:
    published = await calendars.read_schedule(provider_id, queries)
    return None if published is None else schedule_of(published)


async def has_schedule(provider_id: str, now: datetime, queries: Queries) -> bool:
    """ROOM-1, ROOM-3: whether the provider can be booked at all, as far as booking has heard."""
    return is_available(await _schedule(provider_id, queries), now)


async def circumstances_of(at: Circumstances, now: datetime, queries: Queries) -> Circumstances:
    """All that remedies depend on, for these people in this room."""
    enrolments = await coverage.read_enrolments(at.member_id, queries)
    lots = await coverage.read_lots(at.member_id, queries)
    return await _circumstances(at, enrolments, lots, await _schedule(at.provider_id, queries), now, queries)


async def _circumstances(
    at: Circumstances,
    enrolments: Collection[Enrolment],
    lots: Collection[Lot],
    schedule: Schedule | None,
    now: datetime,
    queries: Queries,
) -> Circumstances:
    plan = latest(enrolments, now)
    other = await active_room(at.member_id, at.provider_id, queries)
    return replace(
        at,
        plan_kind=plan.plan_kind if plan else None,
        provider_available=is_available(schedule, now),
        active_room_id=other.id if other is not None and other.id != at.room_id else None,
        sessions_left=sessions_left(enrolments, lots, schedule.specialty if schedule else "therapy", now),
    )


async def _judge(known: Known, question: Question, now: datetime, queries: Queries) -> Verdict:
    kind = bookability.kind_in_question(known, question, now)
    if question.starts_at is not None:
        return await _judge_wish(known, question, question.starts_at, kind, now, queries)
    kinds = [each for each in bookability.kinds_in_plan(known, question, now) if bookability.offered(known, each)]
    kinds.sort(
        key=lambda each: bool(bookability.in_the_way(known, each, question.by, now))
    )  # what can be rebooked first
    search = _Search(known, now, queries)
    for each in kinds:
        slots = await search.payable(each, now, MOST_SLOTS)
        if slots:
            room = bookability.in_the_way(known, each, question.by, now)
            forbids = (*room, bookability.OWES) if known.owes else room
            return _verdict(known, forbids, each, () if forbids else tuple(slots), slots[0])
    first = await search.any(kind) if kind is not None else None
    at = first or now
    room = bookability.in_the_way(known, kind or NO_KIND, question.by, now)
    reasons = (*room, *bookability.pay_reasons(known, at, kind or NO_KIND, now))
    if first is None:
        reasons = (*reasons, bookability.nothing_free(known, kind))
    return _verdict(known, reasons, kind, (), at)


async def _judge_wish(
    known: Known, question: Question, starts_at: datetime, asked: Kind | None, now: datetime, queries: Queries
) -> Verdict:
    """One wish: whether this very session could be booked; `slots` are those that can, from there on."""
    kind = asked or NO_KIND
    search = _Search(known, now, queries)
    taken = await search.taken((starts_at, starts_at), kind)
    room = bookability.in_the_way(known, kind, question.by, now)
    reasons = (
        *room,
        *bookability.slot_reasons(known, starts_at, kind, taken, now),
        *bookability.pay_reasons(known, starts_at, kind, now),
    )
    slots = [] if known.owes or room else await search.payable(kind, starts_at, MOST_SLOTS)
    return _verdict(known, reasons, asked, tuple(slots), starts_at)


def _verdict(
    known: Known, reasons: tuple[Reason, ...], kind: Kind | None, slots: tuple[datetime, ...], at: datetime
) -> Verdict:
    plan = bookability.plan_at(known, at)
    return Verdict(
        reasons,
        kind,
        slots,
        can_purchase=plan is not None and plan.purchasable,
        costs=bookability.costs(known, at, kind) if kind is not None else None,
        plan=plan,
    )


class _Search:
    """Looks for slots window by window."""

    def __init__(self, known: Known, now: datetime, queries: Queries) -> None:
        self._known = known
        self._now = now
        self._queries = queries
        self._looked: dict[tuple[int, Span], tuple[int, list[datetime]]] = {}
        """What is free depends on the length alone: kinds that differ in their modality share a search."""

    async def payable(self, kind: Kind, start: datetime, most: int) -> list[datetime]:
        """The first starts from `start` on that are free and paid for by the plan."""
        bounds = bookability.startable(self._known, kind, self._now)
        found: list[datetime] = []
        if bounds is not None and (start := max(start, bounds[0])) < bounds[1]:
            for span in bookability.payable(self._known, kind, start, bounds[1]):
                found += await self._within(kind, span, most - len(found))
                if len(found) == most:
                    break
        return found

    async def any(self, kind: Kind) -> datetime | None:
        """The first start that is free, whoever pays."""
        bounds = bookability.startable(self._known, kind, self._now)
        found = await self._within(kind, bounds, 1) if bounds is not None else []
        return found[0] if found else None

    async def taken(self, span: Span, kind: Kind) -> Calendar:
        """What touches sessions of this kind that start within a span, its end included."""
        room, schedule = self._known.room, self._known.schedule
        before = schedule.buffer_before if schedule else timedelta()
        after = (schedule.buffer_after if schedule else timedelta()) + timedelta(minutes=kind.length_minutes)
        found = await calendars.read_taken(
            room.provider_id, room.member_id, span[0] - before, span[1] + after, self._now, self._queries
        )
        return Calendar(found.provider, found.time_off, found.member)

    async def _within(self, kind: Kind, span: Span, most: int) -> list[datetime]:
        before, found = self._looked.get((kind.length_minutes, span), (0, []))
        if len(found) >= most or len(found) < before:  # enough, or all there are
            return found[:most]
        found = await self._look_within(kind, span, most)
        self._looked[kind.length_minutes, span] = most, found
        return found

    async def _look_within(self, kind: Kind, span: Span, most: int) -> list[datetime]:
        found: list[datetime] = []
        start, stretch = span[0], FIRST_STRETCH
        while start < span[1] and len(found) < most:
            part = start, min(span[1], start + stretch)
            taken = await self.taken(part, kind)
            found += islice(bookability.free(self._known, kind, part, taken, self._now), most - len(found))
            start, stretch = part[1], stretch * 2
        return found
