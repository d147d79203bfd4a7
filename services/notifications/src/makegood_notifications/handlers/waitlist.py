"""Tells the next member on the waitlist that a slot is held for them, or why they could not book one (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    WaitlistCandidatePassedOver,
    WaitlistEnded,
    WaitlistOffered,
    WaitlistOfferLapsed,
)
from makegood_contracts.events.schedules import WaitlistFact

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.announcements import WAITLIST_OFFERED, WAITLIST_PASSED_OVER
from makegood_notifications.domain.notices import Content, Details, Parties, source_of
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import contacts, deliveries, plans


async def follow_offers(batch: Sequence[Received[WaitlistOffered]], unit: UnitOfWork) -> None:
    """Saves which offers are open. Tells nobody."""
    await plans.open_offers(unit, [received.event for received in batch])


async def follow_ended_offers(batch: Sequence[Received[WaitlistEnded | WaitlistOfferLapsed]], unit: UnitOfWork) -> None:
    """Deletes these offers. Tells nobody."""
    await plans.close_offers(unit, [received.event.entry_id for received in batch])


async def on_waitlist_offered(
    batch: Sequence[Received[WaitlistOffered]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Tells the member by chat, e-mail and live stream. The time is in the member's own zone, because nothing was
    booked in another.
    """
    await follow_offers(batch, unit)
    await _leave_out_overtaken(batch, unit)
    notifier = Notifier(unit, dependencies)
    members = {received.event.member_id for received in batch}
    preferences = await contacts.preferences(unit, members)
    zones = await contacts.time_zones(unit, members)
    await notifier.load_venues({received.event.venue_id for received in batch})
    for received in batch:
        event = received.event
        details = Details(entry_id=event.entry_id, open_until=event.lapses_at)
        content = _content(event, zones.get(event.member_id, "UTC"), details, event.venue_id)
        notice = WAITLIST_OFFERED.notice(content, source_of(received))
        notifier.tell(notice, Parties.of(preferences, event.member_id))
        notifier.stream(
            event.member_id, None, "waitlist.offered", {"entry_id": event.entry_id, "room_id": event.room_id}
        )
    await notifier.send()


async def on_waitlist_passed_over(
    batch: Sequence[Received[WaitlistCandidatePassedOver]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Tells the member why they could not have booked a slot that opened, and that they keep their place."""
    # If an entry has several events, the last one counts.
    latest = {received.event.entry_id: received for received in batch if received.event.tells_member}
    if not latest:
        return
    await _leave_out_overtaken(list(latest.values()), unit)
    notifier = Notifier(unit, dependencies)
    members = {received.event.member_id for received in latest.values()}
    preferences = await contacts.preferences(unit, members)
    zones = await contacts.time_zones(unit, members)
    for entry_id, received in latest.items():
        event = received.event
        details = Details(entry_id=entry_id, obstacles=" ".join(reason.code for reason in event.reasons))
        content = _content(event, zones.get(event.member_id, "UTC"), details)
        notice = WAITLIST_PASSED_OVER.notice(content, source_of(received))
        notifier.tell(notice, Parties.of(preferences, event.member_id))
    await notifier.send()


async def on_offer_ended(batch: Sequence[Received[WaitlistEnded | WaitlistOfferLapsed]], unit: UnitOfWork) -> None:
    """Tells the member nothing, and leaves out what is still queued about the entry."""
    await follow_ended_offers(batch, unit)
    await _leave_out_overtaken(batch, unit)


async def _leave_out_overtaken(batch: Sequence[Received[WaitlistFact]], unit: UnitOfWork) -> None:
    """After a later event of an entry, its member is no longer told why they could not book (NOTE-3)."""
    await deliveries.leave_out_passed_over(unit, [(one.event.member_id, one.event.entry_id) for one in batch])


def _content(
    event: WaitlistOffered | WaitlistCandidatePassedOver, time_zone: str, details: Details, venue_id: str | None = None
) -> Content:
    return Content(
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
        details=details,
    )
