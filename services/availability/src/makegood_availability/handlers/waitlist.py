"""Offers of the waitlist: made when something opens, taken by booking, lapsed and passed on (AVAIL-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from makegood_calendar.hours import Span
from makegood_calendar.offers import Schedule
from makegood_calendar.slots import Busy
from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    Event,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)

from makegood_availability.domain.holds import Wish
from makegood_availability.domain.moves import Standing, Target
from makegood_availability.domain.waitlist import Entry, Held, first_fit, joins, next_look, still_stands
from makegood_availability.store import calendar, holds, moves, offers, policy, waitlist
from makegood_availability.store.holds import Released
from makegood_availability.store.schedules import Schedules, load_time_off

ENTRY: Final = "waitlist-entry"
"""Deadline of an entry: its offer lapses, or its time has passed."""
LINE: Final = "waitlist-line"
"""Deadline of a provider: something may have opened for the line."""
HORIZON: Final = "waitlist-horizon"
"""Deadline of a provider: more days have come within the horizon."""
UNSEEN: Final = timedelta(seconds=5)
"""A release that was being written together with a new entry did not see it; by then it has been committed, so that another
look finds its slot."""


class _NotTaken(Exception):
    """Rolls back to where the offer still stood."""


class Line:
    """The providers' lines."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    async def join(self, wish: Entry, unit: UnitOfWork) -> Entry | Literal["full"]:
        """Puts the wish at the end of its line, with an offer at once if something is free; answers the entry that waits,
        which is the one that stood already where the wish is repeated."""
        await waitlist.make_line(unit, wish.provider_id)
        entry = joins(wish, await waitlist.open_of_rooms(unit, [wish.room_id]))
        if entry is not wish:
            return entry
        await waitlist.insert(unit, entry)
        unit.set_deadline(ENTRY, entry.id, entry.looked_at)
        joined = WaitlistJoined(**_facts(entry), waits_from=entry.waits_from, waits_until=entry.waits_until)
        await _tell([joined], {}, unit)
        await self.look([entry.provider_id], unit)
        unit.set_deadline(LINE, entry.provider_id, unit.now + UNSEEN)
        return entry

    async def leave(
        self, entries: Sequence[Entry], unit: UnitOfWork, causes: Mapping[str, Cause] | None = None
    ) -> None:
        """Takes entries off the list, with their offers, which pass on to the next in line. `causes`: by provider."""
        providers = {entry.provider_id for entry in entries}
        await waitlist.lock_lines(unit, providers)
        entries = await waitlist.by_ids(unit, [entry.id for entry in entries])
        await offers.drop(unit, entries)
        await waitlist.delete(unit, [entry.id for entry in entries])
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        ended = [_ended(entry, "left") for entry in entries if entry.status in ("waiting", "offered")]
        await _tell(ended, causes or {}, unit)
        await self.look(providers, unit, causes)

    async def opened(self, released: Iterable[Released], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """Slots are free again: who had taken an offer of one gets it back, then those are served who wait. `causes`: by session.

        Costs nothing where nobody waits: the release itself has seen that.
        """
        released = list(released)
        returned = {slot.session_id for slot in released if slot.entry_id is not None}
        providers = {slot.provider_id: causes.get(slot.session_id, unit.cause) for slot in released if slot.waited}
        if returned:
            await self._give_back(returned, causes, unit)
        if providers:
            awaited = await waitlist.awaited_by(unit, [slot.member_id for slot in released if slot.waited])
            await self.look(providers.keys() | awaited, unit, providers)

    async def look(
        self, provider_ids: Collection[str], unit: UnitOfWork, causes: Mapping[str, Cause] | None = None
    ) -> None:
        """Offers what is free to those who wait, each line in its order; what was offered and cannot be booked any more is
        taken back first. `causes`: by provider."""
        awaited = await waitlist.awaited(unit, provider_ids)
        if not awaited:
            return
        await waitlist.lock_lines(unit, awaited)
        lines: dict[str, list[Entry]] = {}
        for entry in await waitlist.open_entries(unit, awaited):
            lines.setdefault(entry.provider_id, []).append(entry)
        known = await self._schedules.load(unit, lines.keys())
        changed: dict[str, Entry] = {}
        events: list[Event] = []
        for provider_id, line in lines.items():
            if (schedule := known.get(provider_id)) is not None:
                await self._take_back(line, schedule, unit, changed, events)
                await self._serve([changed.get(entry.id, entry) for entry in line], schedule, unit, changed, events)
        if changed:
            await waitlist.save(unit, list(changed.values()))
            await _tell(events, causes or {}, unit)

    async def _take_back(
        self,
        line: Sequence[Entry],
        schedule: Schedule,
        unit: UnitOfWork,
        changed: dict[str, Entry],
        events: list[Event],
    ) -> None:
        """What was offered and cannot be booked any more is no offer; whose it was keeps the place in the line."""
        offered = [(entry, entry.offer) for entry in line if entry.offer is not None and entry.session_id is None]
        if not offered:
            return
        within = min(offer.starts_at for _, offer in offered), max(offer.ends_at for _, offer in offered)
        time_off = (await load_time_off(unit, [line[0].provider_id], *within)).get(line[0].provider_id, ())
        gone = [(e, offer) for e, offer in offered if not still_stands(e, offer, schedule, time_off, unit.now)]
        if not gone:
            return
        await offers.drop(unit, [entry for entry, _ in gone])
        for entry, offer in gone:
            events.append(WaitlistOfferLapsed(**_facts(entry), starts_at=offer.starts_at))
            changed[entry.id] = replace(entry, status="waiting", offer=None)
            unit.set_deadline(ENTRY, entry.id, entry.waits_until)

    async def _serve(
        self,
        line: Sequence[Entry],
        schedule: Schedule,
        unit: UnitOfWork,
        changed: dict[str, Entry],
        events: list[Event],
    ) -> None:
        # One offer at a time, or one member could have a whole day set aside.
        with_offer = {entry.member_id for entry in line if entry.offer is not None}
        waiting = [entry for entry in line if entry.member_id not in with_offer]
        if not waiting:
            return
        provider_id = line[0].provider_id
        within = _looked_through(waiting, schedule, unit.now)
        taken = await calendar.taken(unit, provider_id, *within)
        busy = await waitlist.busy_times(unit, {entry.member_id for entry in waiting}, *within)
        held_for = await policy.offer_time(unit)
        for entry in waiting:
            if entry.member_id in with_offer:
                continue
            mine = busy.get(entry.member_id, ())
            while offer := first_fit(entry, schedule, taken.time_off, Busy(taken.provider, mine), unit.now, held_for):
                blocked = schedule.blocked(offer.starts_at, offer.ends_at)
                taken.provider.append(blocked)
                if await offers.hold(unit, entry, offer, blocked):
                    with_offer.add(entry.member_id)
                    changed[entry.id] = replace(entry, status="offered", offer=offer)
                    events.append(_offered(entry, offer, blocked))
                    unit.set_deadline(ENTRY, entry.id, offer.lapses_at)
                    break
        again = next_look(waiting, schedule, unit.now)
        if again is not None:
            unit.set_deadline(HORIZON, provider_id, again)

    async def take_offer(self, wish: Wish, unit: UnitOfWork) -> bool:
        """The member books what was offered: from the offer's hold to the session's in one step; False where that fails."""
        try:
            async with unit.connection.transaction():
                await waitlist.lock_lines(unit, [wish.provider_id])
                taken = await offers.take(unit, wish.provider_id, wish.member_id, wish.blocked)
                if not await holds.hold(unit, [wish]):
                    raise _NotTaken
                for entry in await waitlist.by_ids(unit, taken):
                    await waitlist.save(unit, [replace(entry, session_id=wish.session_id)])
                    await offers.mark_taker(unit, wish.session_id, entry.id)
                return True
        except _NotTaken:
            return False

    async def move_into_offer(self, wish: Wish, target: Target, cause: Cause, unit: UnitOfWork) -> int | None:
        """The member moves a session to what was offered; answers the sequence of the event that tells it, None if it fails."""
        try:
            async with unit.connection.transaction():
                await waitlist.lock_lines(unit, [wish.provider_id])
                taken = await offers.take(unit, wish.provider_id, wish.member_id, wish.blocked)
                sequence = await moves.move(unit, wish.session_id, target)
                if sequence is None:
                    raise _NotTaken
                entries = await waitlist.by_ids(unit, taken)
                await waitlist.save(unit, [replace(e, status="booked", session_id=wish.session_id) for e in entries])
        except _NotTaken:
            return None
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        await _tell([_ended(entry, "booked") for entry in entries], {wish.provider_id: cause}, unit)
        return sequence

    async def left(self, moved: Iterable[Standing], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """These holds went elsewhere: where they were, others may go. `causes`: by provider."""
        moved = list(moved)
        await self.look(
            {hold.provider_id for hold in moved} | await waitlist.awaited_by(unit, [hold.member_id for hold in moved]),
            unit,
            causes,
        )

    async def booked(self, session_ids: Collection[str], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """These sessions are reserved: who had their offers waits no more."""
        entries = await self._lock_taken_by(session_ids, unit)
        await waitlist.save(unit, [replace(entry, status="booked") for entry in entries])
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        told = {entry.provider_id: causes.get(entry.session_id or "", unit.cause) for entry in entries}
        await _tell([_ended(entry, "booked") for entry in entries], told, unit)

    async def _give_back(self, session_ids: Collection[str], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """The booking was refused: the offer stands as before, as long as it would have."""
        entries = await self._lock_taken_by(session_ids, unit)
        known = await self._schedules.load(unit, {entry.provider_id for entry in entries})
        events: list[Event] = []
        for entry in entries:
            offer, schedule = entry.offer, known.get(entry.provider_id)
            if offer is not None and schedule is not None and offer.lapses_at > unit.now:
                blocked = schedule.blocked(offer.starts_at, offer.ends_at)
                if await offers.hold(unit, entry, offer, blocked):
                    await waitlist.save(unit, [replace(entry, session_id=None)])
                    unit.set_deadline(ENTRY, entry.id, offer.lapses_at)
                    continue
            await waitlist.save(unit, [replace(entry, status="lapsed", session_id=None)])
            events += _lapsed(entry)
        told = {entry.provider_id: causes.get(entry.session_id or "", unit.cause) for entry in entries}
        await _tell(events, told, unit)

    async def _lock_taken_by(self, session_ids: Collection[str], unit: UnitOfWork) -> list[Entry]:
        entries = await waitlist.taken_by(unit, session_ids)
        await waitlist.lock_lines(unit, {entry.provider_id for entry in entries})
        return await waitlist.taken_by(unit, session_ids)

    async def lapsed(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Offers that were not taken in time, and entries whose time has passed: they wait no more, and the next get theirs."""
        ids = [deadline.entity_id for deadline in due]
        await waitlist.lock_lines(unit, {entry.provider_id for entry in await waitlist.by_ids(unit, ids)})
        over: list[Entry] = []
        events: list[Event] = []
        for entry in await waitlist.by_ids(unit, ids):
            if entry.status not in ("waiting", "offered") or entry.session_id is not None:
                continue  # a booking takes the offer; its outcome decides
            if entry.looked_at > unit.now:
                unit.set_deadline(ENTRY, entry.id, entry.looked_at)
                continue
            over.append(entry)
            events += _lapsed(entry)
        if over:
            await offers.drop(unit, over)
            await waitlist.save(unit, [replace(entry, status="lapsed") for entry in over])
            await _tell(events, {}, unit)
            await self.look({entry.provider_id for entry in over if entry.offer is not None}, unit)

    async def due(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Something may have opened in these lines."""
        await self.look([deadline.entity_id for deadline in due], unit)


def plan_look(provider_id: str, unit: UnitOfWork) -> None:
    """The provider's hours have changed: once that is committed the line is looked after."""
    unit.set_deadline(LINE, provider_id, unit.now)


def _looked_through(waiting: Sequence[Entry], schedule: Schedule, now: datetime) -> Span:
    """The time in which anything could be in the way of what these wait for."""
    start = max(now, min(entry.waits_from for entry in waiting)) - schedule.buffer_before
    end = min(now + schedule.horizon, max(entry.waits_until for entry in waiting)) + schedule.buffer_after
    return start, max(start, end + timedelta(minutes=max(entry.length_minutes for entry in waiting)))


async def _tell(events: Sequence[Event], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
    """Publishes events of lines that are locked, each provider's in their order. `causes`: by provider."""
    if not events:
        return
    counts = Counter(event.key for event in events)
    last = await waitlist.sequences(unit, counts)
    following = {provider_id: last[provider_id] - count for provider_id, count in counts.items()}
    for event in events:
        following[event.key] += 1
        unit.publish(event, sequence=following[event.key], cause=causes.get(event.key))


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.id,
        "provider_id": entry.provider_id,
        "member_id": entry.member_id,
        "room_id": entry.room_id,
        "length_minutes": entry.length_minutes,
        "modality": entry.modality,
    }


def _offered(entry: Entry, offer: Held, blocked: Span) -> WaitlistOffered:
    return WaitlistOffered(
        **_facts(entry),
        starts_at=offer.starts_at,
        ends_at=offer.ends_at,
        blocked_from=blocked[0],
        blocked_until=blocked[1],
        lapses_at=offer.lapses_at,
    )


def _ended(entry: Entry, cause: Literal["booked", "lapsed", "left"]) -> WaitlistEnded:
    return WaitlistEnded(**_facts(entry), cause=cause, starts_at=entry.offer.starts_at if entry.offer else None)


def _lapsed(entry: Entry) -> list[Event]:
    ended: list[Event] = [_ended(entry, "lapsed")]
    return (
        ended
        if entry.offer is None
        else [WaitlistOfferLapsed(**_facts(entry), starts_at=entry.offer.starts_at), *ended]
    )
