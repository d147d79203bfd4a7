"""Waitlists (AVAIL-6): who waits, who is offered what opens, and who takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from makegood_availability.domain.waitlist import WaitlistEntry, first_fit, offered
from makegood_availability.handlers import waitlist_events as events
from makegood_availability.handlers.waitlist_events import EndCause
from makegood_booking.domain.policy import STANDARD
from makegood_calendar.slots import Busy
from makegood_calendar.zones import instant
from makegood_contracts.envelope import Cause
from makegood_contracts.events import Modality, WaitlistCandidateJudged
from makegood_contracts.ids import new_id
from makegood_notifications.domain.announcements import WAITLIST_OFFERED

from makegood_cli.year.simulation import Simulation

if TYPE_CHECKING:
    from makegood_cli.year.members import Member
    from makegood_cli.year.providers import Provider

_DAYS: Final = 4
_JOINS: Final = 0.7
_TAKES: Final = 0.65
_OFFER_TIME: Final = timedelta(minutes=STANDARD.offer_minutes)


class Waitlist:
    """The waitlist of one provider, in the order in which members joined it."""

    def __init__(self, simulation: Simulation, provider: Provider) -> None:
        self._simulation, self._provider = simulation, provider
        self._entries: dict[str, WaitlistEntry] = {}
        self._members: dict[str, Member] = {}
        provider.on_opened = self._propose

    def join(self, member: Member, day: date, length: int, modality: Modality) -> None:
        """A member who found nothing may wait for something from that day on. One entry is enough."""
        waits = any(entry.member_id == member.id for entry in self._entries.values())
        if waits or not self._simulation.chance(_JOINS):
            return
        now, zone = self._simulation.now, self._provider.zone
        waits_from = max(now, instant(day, 0, zone))
        waits_until = instant(day + timedelta(days=_DAYS), 0, zone)
        if waits_until <= waits_from:
            return
        entry = WaitlistEntry(
            new_id(), member.room.id, self._provider.id, member.id, waits_from, waits_until, length, modality, "waiting"
        )
        self._entries[entry.id], self._members[entry.id] = entry, member
        member.seen()
        self._provider.publish(events.joined(entry), self._simulation.begin())
        self._simulation.at(waits_until, lambda: self._time_is_over(entry.id))

    def offered_to(self, member_id: str, starts_at: datetime) -> str | None:
        """The entry under which this start is held for the member."""
        for entry in self._entries.values():
            if entry.status == "offered" and entry.offer and entry.member_id == member_id:
                return entry.id if entry.offer.starts_at == starts_at else None
        return None

    def leave(self, member: Member, why: EndCause, cause: Cause) -> None:
        """The member no longer waits."""
        for entry in [each for each in self._entries.values() if each.member_id == member.id]:
            self._end(entry, why, cause)

    def took(self, member: Member, starts_at: datetime, cause: Cause) -> None:
        """A session is reserved: if it took an offer, the entry has ended."""
        entry_id = self.offered_to(member.id, starts_at)
        if entry_id is not None:
            self._end(self._entries[entry_id], "booked", cause, frees=False)

    def _propose(self, cause: Cause) -> None:
        """Something opened: holds what fits for the first in line, and asks booking about them."""
        provider, now = self._provider, self._simulation.now
        for entry in list(self._entries.values()):
            if entry.status != "waiting" or entry.proposal_id is not None:
                continue
            member = self._members[entry.id]
            if member.has_no_credit(max(now, entry.waits_from), entry.length_minutes):
                continue  # they will find out when they ask why they were not offered anything
            busy = Busy(list(provider.busy.values()), list(member.spans.values()))
            slot = first_fit(entry, provider.schedule, provider.time_off, busy, {}, now)
            if slot is None:
                continue
            entry = replace(entry, offer=slot, proposal_id=new_id())
            self._entries[entry.id] = entry
            provider.busy[entry.id] = provider.schedule.blocked(slot.starts_at, slot.ends_at)
            following = provider.publish(events.proposed(entry, provider.schedule), cause)
            self._simulation.soon(partial(self._judge, entry, following))

    def _judge(self, entry: WaitlistEntry, cause: Cause) -> None:
        """Booking finds nothing against it."""
        assert entry.offer is not None
        assert entry.proposal_id is not None
        judged = WaitlistCandidateJudged(
            proposal_id=entry.proposal_id,
            entry_id=entry.id,
            room_id=entry.room_id,
            member_id=entry.member_id,
            provider_id=entry.provider_id,
            starts_at=entry.offer.starts_at,
        )
        following = self._simulation.publish(judged, sequence=1, cause=cause)
        self._simulation.soon(lambda: self._offer(entry.id, following))

    def _offer(self, entry_id: str, cause: Cause) -> None:
        entry = self._entries.get(entry_id)
        if entry is None or entry.offer is None or entry.proposal_id is None:
            return
        simulation, proposal_id = self._simulation, entry.proposal_id
        offer = offered(entry, self._provider.schedule, _OFFER_TIME, simulation.now)
        if offer is None or offer.offer is None:
            self._end(entry, "lapsed", cause)
            return
        self._entries[entry_id] = offer
        following = self._provider.publish(events.offered(offer, proposal_id, self._provider.schedule), cause)
        member = self._members[entry_id]
        member.messages.tell(member.parties, (WAITLIST_OFFERED,), None, following)
        slot, left = offer.offer, offer.offer.lapses_at - simulation.now
        if simulation.chance(_TAKES):
            simulation.after(left * simulation.random.uniform(0.02, 0.9), lambda: self._take(entry_id, slot.starts_at))
        simulation.at(slot.lapses_at, lambda: self._time_is_over(entry_id))

    def _take(self, entry_id: str, starts_at: datetime) -> None:
        entry = self._entries.get(entry_id)
        if entry is not None:
            self._members[entry_id].book_at(starts_at, entry.length_minutes)

    def _time_is_over(self, entry_id: str) -> None:
        entry = self._entries.get(entry_id)
        if entry is not None and self._simulation.now >= entry.due_at:
            cause = self._simulation.begin()
            for event in events.lapsed(entry):
                cause = self._provider.publish(event, cause)
            self._forget(entry)
            if entry.offer is not None:
                self._propose(cause)

    def _end(self, entry: WaitlistEntry, why: EndCause, cause: Cause, *, frees: bool = True) -> None:
        following = self._provider.publish(events.ended(entry, why), cause)
        self._forget(entry)
        if frees and entry.offer is not None:
            self._propose(following)

    def _forget(self, entry: WaitlistEntry) -> None:
        self._provider.busy.pop(entry.id, None)
        del self._entries[entry.id], self._members[entry.id]
