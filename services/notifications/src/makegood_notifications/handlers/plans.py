"""What this service must know of plans and schedules: lengths for the ready message, channels of reminders, open offers."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    EnrolmentEnded,
    MemberEnrolled,
    SchedulePublished,
    WaitlistCandidatePassedOver,
    WaitlistEnded,
    WaitlistOffered,
    WaitlistOfferLapsed,
)
from makegood_contracts.events.schedules import WaitlistFact

from makegood_notifications.domain.announcements import WAITLIST_OFFERED, WAITLIST_PASSED_OVER
from makegood_notifications.domain.facts import Facts, More
from makegood_notifications.domain.origin import origin_of
from makegood_notifications.handlers.telling import Notifier
from makegood_notifications.store import contacts, deliveries, plans, venues
from makegood_notifications.store.contacts import DEFAULT_PREFERENCES
from makegood_notifications.store.outgoing import Outgoing


class PlanModel:
    """Follows enrolments, specialties and offers; tells nobody."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def enrolled(self, batch: Sequence[Received[MemberEnrolled]], unit: UnitOfWork) -> None:
        await plans.follow_enrolments(unit, [received.event for received in batch])
        keys = {f"plan:{received.event.member_id}": True for received in batch}
        unit.after_commit(lambda: self._signals.send(keys))

    async def ended(self, batch: Sequence[Received[EnrolmentEnded]], unit: UnitOfWork) -> None:
        await plans.end_enrolments(unit, [received.event for received in batch])

    async def published(self, batch: Sequence[Received[SchedulePublished]], unit: UnitOfWork) -> None:
        await plans.follow_specialties(unit, [received.event for received in batch])

    async def offered(self, batch: Sequence[Received[WaitlistOffered]], unit: UnitOfWork) -> None:
        await plans.open_offers(unit, [received.event for received in batch])

    async def closed(self, batch: Sequence[Received[WaitlistEnded | WaitlistOfferLapsed]], unit: UnitOfWork) -> None:
        await plans.close_offers(unit, [received.event.entry_id for received in batch])


class WaitlistMessages:
    """Tells the first in line of a slot that is held for them (AVAIL-6)."""

    def __init__(self, model: PlanModel, notifier: Notifier) -> None:
        self._model = model
        self._notifier = notifier

    async def passed_over(self, batch: Sequence[Received[WaitlistCandidatePassedOver]], unit: UnitOfWork) -> None:
        """A slot opened that the member could not have booked: why, and that they keep their place."""
        # Of several in a batch the last is how it stands now.
        news = {received.event.entry_id: received for received in batch if received.event.tells_member}.values()
        if not news:
            return
        await _overtaken([received.event for received in news], unit)
        outgoing = Outgoing()
        members = {received.event.member_id for received in news}
        known = await contacts.preferences(unit, members)
        zones = await contacts.time_zones(unit, members)
        for received in news:
            codes = " ".join(reason.code for reason in received.event.reasons)
            more = More(entry_id=received.event.entry_id, obstacles=codes)
            facts = _facts(received.event, zones.get(received.event.member_id, "UTC"), more)
            member = known.get(received.event.member_id, DEFAULT_PREFERENCES)
            self._notifier.tell(WAITLIST_PASSED_OVER, facts, origin_of(received), member, member.locale, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def closed(self, batch: Sequence[Received[WaitlistEnded | WaitlistOfferLapsed]], unit: UnitOfWork) -> None:
        """What the member knew of the entry is over; they are told nothing."""
        await self._model.closed(batch, unit)
        await _overtaken([received.event for received in batch], unit)

    async def offered(self, batch: Sequence[Received[WaitlistOffered]], unit: UnitOfWork) -> None:
        """By chat, e-mail and stream. The time is shown in the member's own zone: nothing was booked in another one."""
        await self._model.offered(batch, unit)
        await _overtaken([received.event for received in batch], unit)
        outgoing = Outgoing()
        members = {received.event.member_id for received in batch}
        known = await contacts.preferences(unit, members)
        zones = await contacts.time_zones(unit, members)
        places = await venues.find(unit, {received.event.venue_id for received in batch})
        for received in batch:
            event = received.event
            more = More(entry_id=event.entry_id, open_until=event.lapses_at)
            facts = _facts(event, zones.get(event.member_id, "UTC"), more, event.venue_id)
            member = known.get(event.member_id, DEFAULT_PREFERENCES)
            self._notifier.tell(
                WAITLIST_OFFERED, facts, origin_of(received), member, member.locale, unit, outgoing, places
            )
            data = {"entry_id": event.entry_id, "room_id": event.room_id}
            outgoing.entry(event.member_id, None, "waitlist.offered", data)
        await self._notifier.write(outgoing, unit)


async def _overtaken(events: Sequence[WaitlistFact], unit: UnitOfWork) -> None:
    """NOTE-3: why somebody could not book is not told any more once there is later news of their entry."""
    await deliveries.leave_out_passed_over(unit, [(event.member_id, event.entry_id) for event in events])


def _facts(
    event: WaitlistOffered | WaitlistCandidatePassedOver, time_zone: str, more: More, venue_id: str | None = None
) -> Facts:
    return Facts(
        session_id=None,
        room_id=event.room_id,
        member_id=event.member_id,
        provider_id=event.provider_id,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        length_minutes=event.length_minutes,
        modality=event.modality,
        time_zone=time_zone,
        venue_id=venue_id,
        more=more,
    )
