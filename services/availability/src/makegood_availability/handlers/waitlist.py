"""The waitlist: who is first in line for what opens is proposed, judged by booking, offered; or the next is (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import WaitlistCandidateJudged
from makegood_contracts.ids import is_id

from makegood_availability.domain.believing import misjudged
from makegood_availability.domain.holds import Wish
from makegood_availability.domain.moves import Standing, Target
from makegood_availability.domain.waitlist import (
    Entry,
    asked_anew,
    joins,
    next_look,
    offered,
    passed_over,
    unanswered,
)
from makegood_availability.handlers import waitlist_events as told
from makegood_availability.handlers.candidates import Candidates, Changes
from makegood_availability.store import holds, moves, offers, policy, waitlist
from makegood_availability.store.holds import Released
from makegood_availability.store.schedules import Schedules
from makegood_availability.store.venues import Venues

ENTRY: Final = "waitlist-entry"
"""Deadline of an entry: its offer lapses, booking did not judge in time, or its time has passed."""
LINE: Final = "waitlist-line"
"""Deadline of a provider: something may have opened for the line."""
JOINED: Final = "waitlist-joined"
"""Deadline of a provider: a slot may have opened just as somebody joined."""
HORIZON: Final = "waitlist-horizon"
"""Deadline of a provider: more days have come within the horizon."""
VENUE: Final = "waitlist-venue"
"""Deadline of a provider: a venue may have become free for the line."""
VENUE_AGAIN: Final = "waitlist-venue-again"
"""Deadline of a provider: a venue that was held for a candidate is free as before."""
AGAIN: Final = "waitlist-again"
"""Deadline of a provider: somebody who was passed over is asked about again."""
UNSEEN: Final = timedelta(seconds=5)
"""A release that was being written together with a new entry did not see it; by then it has been committed, so that another
look finds its slot."""


class _NotTaken(Exception):
    """Rolls back to where the offer still stood."""


class Line:
    """The providers' lines."""

    def __init__(self, schedules: Schedules, venues: Venues) -> None:
        self._schedules = schedules
        self._candidates = Candidates(venues)

    async def join(self, wish: Entry, unit: UnitOfWork) -> Entry | Literal["full"]:
        """Puts the wish at the end of its line, as a candidate at once if something is free; answers the entry that waits,
        which is the one that stood already where the wish is repeated."""
        await waitlist.make_line(unit, wish.provider_id)
        entry = joins(wish, await waitlist.open_of_rooms(unit, [wish.room_id]))
        if entry is not wish:
            return entry
        await waitlist.insert(unit, entry)
        unit.set_deadline(ENTRY, entry.id, entry.looked_at)
        await told.tell([told.joined(entry)], {}, unit)
        await self.look([entry.provider_id], unit, anew=False)
        unit.set_deadline(JOINED, entry.provider_id, unit.now + UNSEEN)
        return entry

    async def leave(
        self,
        entries: Sequence[Entry],
        unit: UnitOfWork,
        causes: Mapping[str, Cause] | None = None,
        cause: told.EndCause = "left",
    ) -> None:
        """Takes entries off the list, with their offers, which pass on to the next in line. `causes`: by provider."""
        providers = {entry.provider_id for entry in entries}
        await waitlist.lock_lines(unit, providers)
        entries = await waitlist.by_ids(unit, [entry.id for entry in entries])
        await offers.drop(unit, entries)
        await waitlist.delete(unit, [entry.id for entry in entries])
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        over = [told.ended(entry, cause) for entry in entries if entry.status in waitlist.OPEN]
        await told.tell(over, causes or {}, unit)
        await self._venues_are_free(entries, VENUE, unit)
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
        if any(slot.venue_id is not None for slot in released):
            await plan_look_in_person(unit)

    async def look(
        self,
        provider_ids: Collection[str],
        unit: UnitOfWork,
        causes: Mapping[str, Cause] | None = None,
        *,
        anew: bool = True,
    ) -> None:
        """Proposes those who wait for what is free, each line in its order; what is held and cannot be booked any more is
        taken back first. `anew`: something opened, so whoever was passed over is asked about again. `causes`: by provider."""
        awaited = await waitlist.awaited(unit, provider_ids)
        if not awaited:
            return
        await waitlist.lock_lines(unit, awaited)
        lines: dict[str, list[Entry]] = {}
        for entry in await waitlist.open_entries(unit, awaited):
            lines.setdefault(entry.provider_id, []).append(entry)
        known = await self._schedules.load(unit, lines.keys())
        changes = Changes()
        for provider_id, line in lines.items():
            schedule = known.get(provider_id)
            if schedule is None:
                continue
            before, line = line, asked_anew(line) if anew else line
            changes.entries |= {now.id: now for was, now in zip(before, line, strict=True) if now != was}
            await self._candidates.take_back(line, schedule, unit, changes)
            await self._candidates.propose(changes.now(line), schedule, unit, changes)
            waiting = [entry for entry in changes.now(line) if entry.offer is None]
            if (more := next_look(waiting, schedule, unit.now)) is not None:
                unit.set_deadline(HORIZON, provider_id, more)
            again = [entry.ask_again_at for entry in waiting if entry.ask_again_at is not None]
            if later := [moment for moment in again if moment > unit.now]:
                unit.set_deadline(AGAIN, provider_id, min(later))
        await self._keep(changes, causes or {}, unit)
        await self._venues_are_free(changes.dropped, VENUE, unit)

    async def judged(self, batch: Sequence[Received[WaitlistCandidateJudged]], unit: UnitOfWork) -> None:
        """Who could book what is held for them is offered it; who could not keeps their place, and the next is proposed.

        An answer that comes again, or too late, is about a proposal that stands no more.
        """
        ids = {received.event.entry_id for received in batch if is_id(received.event.entry_id)}
        await waitlist.lock_lines(unit, {entry.provider_id for entry in await waitlist.by_ids(unit, ids)})
        standing = {entry.id: entry for entry in await waitlist.by_ids(unit, ids)}
        known = await self._schedules.load(unit, {entry.provider_id for entry in standing.values()})
        held_for = await policy.offer_time(unit)
        changes, causes = Changes(), {}
        for received in batch:
            event, entry = received.event, standing.pop(received.event.entry_id, None)
            if entry is None or entry.proposal_id != event.proposal_id:
                continue
            if (why := misjudged(event, entry)) is not None:
                unit.refuse(received.id, why)
                continue
            causes[entry.provider_id] = received.cause
            schedule = known.get(entry.provider_id)
            offer = offered(entry, schedule, unit.now, held_for) if schedule is not None else None
            if schedule is not None and offer is not None and offer.offer is not None and not event.reasons:
                blocked = schedule.blocked(offer.offer.starts_at, offer.offer.ends_at)
                changes.entries[entry.id] = offer
                changes.events.append(told.offered(offer, event.proposal_id, blocked))
                continue
            changes.dropped.append(entry)
            if not event.reasons:
                changes.entries[entry.id] = replace(entry, offer=None, proposal_id=None)
                changes.events.append(told.withdrawn(entry))
                continue
            after, tells = passed_over(entry, event.reasons, event.next_starts_at, unit.now)
            changes.entries[entry.id] = after
            changes.events.append(told.passed_over(entry, "refused", event.reasons, tells_member=tells))
        await self._pass_on(changes, causes, unit)

    async def _pass_on(self, changes: Changes, causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """What was held for candidates who do not get it is the next one's."""
        await offers.drop(unit, changes.dropped)
        await self._keep(changes, causes, unit)
        await self._venues_are_free(changes.dropped, VENUE_AGAIN, unit)
        await self.look({entry.provider_id for entry in changes.dropped}, unit, causes, anew=False)

    async def _keep(self, changes: Changes, causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        if changes.entries:
            await waitlist.save(unit, list(changes.entries.values()))
        for entry in changes.entries.values():
            if entry.session_id is None:
                unit.set_deadline(ENTRY, entry.id, entry.looked_at)
        await told.tell(changes.events, causes, unit)

    async def _venues_are_free(self, dropped: Sequence[Entry], kind: str, unit: UnitOfWork) -> None:
        """Those who wait for a session in person with others may have what was held for these."""
        if any(entry.offer is not None and entry.offer.venue_id is not None for entry in dropped):
            await plan_look_in_person(unit, kind)

    async def take_offer(self, wish: Wish, unit: UnitOfWork) -> bool:
        """The member books what was offered: from the offer's hold to the session's in one step; False where that fails."""
        try:
            async with unit.connection.transaction():
                await waitlist.lock_lines(unit, [wish.provider_id])
                taken = await offers.take(unit, wish.provider_id, wish.member_id, wish.blocked)
                if not await holds.hold(unit, [wish]):
                    raise _NotTaken
                entries = await waitlist.by_ids(unit, taken)
                for entry in entries:
                    # A candidate who books before booking has judged needs no judgement: the booking decides.
                    offer = None if entry.proposal_id is not None else entry.offer
                    taker = replace(entry, session_id=wish.session_id, offer=offer, proposal_id=None)
                    await waitlist.save(unit, [taker])
                    await offers.mark_taker(unit, wish.session_id, entry.id)
        except _NotTaken:
            return False
        held = [entry.offer for entry in entries if entry.offer is not None]
        if any(offer.leaves_time(wish.starts_at, wish.ends_at) for offer in held):
            plan_look(wish.provider_id, unit)
        await self._venues_are_left(entries, wish, unit)
        return True

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
                over = [replace(e, status="booked", session_id=wish.session_id, proposal_id=None) for e in entries]
                await waitlist.save(unit, over)
        except _NotTaken:
            return None
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        await told.tell([told.ended(entry, "booked") for entry in entries], {wish.provider_id: cause}, unit)
        await self._venues_are_left(entries, wish, unit)
        return sequence

    async def _venues_are_left(self, entries: Sequence[Entry], wish: Wish, unit: UnitOfWork) -> None:
        """What these were offered was given up for `wish`, which may be elsewhere, or shorter."""
        held = [entry.offer for entry in entries if entry.offer is not None]
        if any(offer.leaves_venue(wish.venue_id, wish.starts_at, wish.ends_at) for offer in held):
            await plan_look_in_person(unit)

    async def left(self, moved: Iterable[Standing], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """These holds went elsewhere: where they were, others may go. `causes`: by provider."""
        moved = list(moved)
        await self.look(
            {hold.provider_id for hold in moved} | await waitlist.awaited_by(unit, [hold.member_id for hold in moved]),
            unit,
            causes,
        )
        if any(hold.venue_id is not None for hold in moved):
            await plan_look_in_person(unit)

    async def booked(self, session_ids: Collection[str], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """These sessions are reserved: who had their offers waits no more."""
        entries = await self._lock_taken_by(session_ids, unit)
        await waitlist.save(unit, [replace(entry, status="booked") for entry in entries])
        for entry in entries:
            unit.set_deadline(ENTRY, entry.id, None)
        why = {entry.provider_id: causes.get(entry.session_id or "", unit.cause) for entry in entries}
        await told.tell([told.ended(entry, "booked") for entry in entries], why, unit)

    async def _give_back(self, session_ids: Collection[str], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
        """The booking was refused: the offer stands as before, as long as it would have. Whose slot or venue is gone, or who
        was no more than a candidate, waits on."""
        entries = await self._lock_taken_by(session_ids, unit)
        known = await self._schedules.load(unit, {entry.provider_id for entry in entries})
        changes = Changes()
        for entry in entries:
            offer, schedule = entry.offer, known.get(entry.provider_id)
            if offer is not None and offer.lapses_at <= unit.now:
                changes.entries[entry.id] = replace(entry, status="lapsed", session_id=None)
                changes.events += told.lapsed(entry)
                continue
            changes.entries[entry.id] = replace(entry, session_id=None)
            if offer is not None:
                blocked = None if schedule is None else schedule.blocked(offer.starts_at, offer.ends_at)
                if blocked is None or not await offers.hold(unit, entry, offer, blocked):
                    changes.entries[entry.id] = replace(entry, status="waiting", offer=None, session_id=None)
                    changes.events.append(told.withdrawn(entry))
        await self._keep(changes, {e.provider_id: causes.get(e.session_id or "", unit.cause) for e in entries}, unit)

    async def _lock_taken_by(self, session_ids: Collection[str], unit: UnitOfWork) -> list[Entry]:
        entries = await waitlist.taken_by(unit, session_ids)
        await waitlist.lock_lines(unit, {entry.provider_id for entry in entries})
        return await waitlist.taken_by(unit, session_ids)

    async def lapsed(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Offers that were not taken in time, and entries whose time has passed: they wait no more, and the next get theirs.
        Candidates about whom booking did not answer keep their place, and the next is proposed."""
        ids = [deadline.entity_id for deadline in due]
        await waitlist.lock_lines(unit, {entry.provider_id for entry in await waitlist.by_ids(unit, ids)})
        over, silent = Changes(), Changes()
        for entry in await waitlist.by_ids(unit, ids):
            if entry.status not in waitlist.OPEN or entry.session_id is not None:
                continue  # a booking takes the offer; its outcome decides
            if entry.looked_at > unit.now:
                unit.set_deadline(ENTRY, entry.id, entry.looked_at)
            elif entry.proposal_id is not None and entry.waits_until > unit.now:
                silent.dropped.append(entry)
                silent.entries[entry.id] = unanswered(entry, unit.now)
                silent.events.append(told.passed_over(entry, "unanswered"))
            else:
                over.dropped.append(entry)
                over.entries[entry.id] = replace(entry, status="lapsed", proposal_id=None)
                over.events += told.lapsed(entry)
        if over.dropped:
            await offers.drop(unit, over.dropped)
            await waitlist.save(unit, list(over.entries.values()))
            await told.tell(over.events, {}, unit)
            await self._venues_are_free(over.dropped, VENUE, unit)
            await self.look({entry.provider_id for entry in over.dropped if entry.offer is not None}, unit)
        if silent.dropped:
            await self._pass_on(silent, {}, unit)

    async def due(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Something may have opened in these lines."""
        await self.look([deadline.entity_id for deadline in due], unit)

    async def due_again(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Nothing opened in these lines, but somebody who was passed over may be able to book by now."""
        await self.look([deadline.entity_id for deadline in due], unit, anew=False)


def plan_look(provider_id: str, unit: UnitOfWork) -> None:
    """More of the provider's time may be free: once that is committed the line is looked after."""
    unit.set_deadline(LINE, provider_id, unit.now)


async def plan_look_in_person(unit: UnitOfWork, kind: str = VENUE) -> None:
    """A venue may have become free: once that is committed those are looked after who wait for a session in person."""
    for provider_id in await waitlist.awaited_in_person(unit):
        unit.set_deadline(kind, provider_id, unit.now)
