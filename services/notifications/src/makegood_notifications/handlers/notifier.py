"""Tells people what happened: queues e-mails and WhatsApp messages, and delivers chat and in-app messages with the transaction
(NOTE-1, NOTE-2)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.events.deliveries import Channel, MessageDelivered
from makegood_contracts.ids import new_id

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.notices import Notice, Parties
from makegood_notifications.domain.venues import NO_VENUES, Venues
from makegood_notifications.metrics import count_deliveries
from makegood_notifications.store import venues
from makegood_notifications.store.outgoing import NewEntry, NewMessage, Outgoing


class Notifier:
    """Collects what a unit of work tells people. `send` writes it with one statement."""

    def __init__(self, unit: UnitOfWork, dependencies: Dependencies) -> None:
        self._unit = unit
        self._dependencies = dependencies
        self._outgoing = Outgoing()
        self._venues: Venues = NO_VENUES

    async def load_venues(self, ids: Collection[str | None]) -> None:
        """Loads the venues that chat messages name. Does not ask the database if there are none."""
        self._venues = {**self._venues, **await venues.find(self._unit, ids)}

    def tell(self, notice: Notice, parties: Parties, *, due_at: datetime | None = None) -> None:
        """Tells one party by every channel of the notice. `parties` has the preferences of both. `due_at`: the moment of a
        reminder."""
        person = parties.member if notice.to == "member" else parties.provider
        if notice.mail:
            self.queue(notice, "email", person.locale, due_at=due_at)
            if person.whatsapp and not notice.calendar:
                self.queue(notice, "whatsapp", person.locale, due_at=due_at)
        if notice.chat:
            self._system_message(notice, parties.member.locale, wanted=person.chat)
        elif not notice.calendar:
            self._delivered(notice, "in_app")

    def queue(self, notice: Notice, channel: Channel, locale: str, *, due_at: datetime | None = None) -> str:
        """Queues the notice for e-mail or WhatsApp. Returns the delivery's id. `due_at`: the moment of a reminder."""
        delivery_id = new_id()
        subject = self._dependencies.wording.subject(notice.template, locale)
        self._outgoing.delivery(delivery_id, notice, channel, subject=subject, due_at=due_at)
        if channel == "whatsapp":
            self._unit.after_commit(self._dependencies.whatsapp_worker.wake)
        return delivery_id

    def _system_message(self, notice: Notice, locale: str, *, wanted: bool) -> None:
        """A system message in the chat, delivered to the person it is for. The room keeps it even if that person wants
        no messages by chat, because the other party reads it too.
        """
        message_id, content = new_id(), notice.content
        text = self._dependencies.wording.chat(notice.template, content, locale, venues=self._venues)
        self._outgoing.messages.append(
            NewMessage(message_id, content.room_id, notice.template, text, self._unit.now, notice.source.event_id)
        )
        entry = {"room_id": content.room_id, "message_id": message_id}
        self.stream(content.member_id, content.provider_id, "room.message", entry)
        if wanted:
            self._delivered(notice, "chat")
        else:
            self._outgoing.delivery(new_id(), notice, "chat", wanted=False)
            self._unit.after_commit(lambda: count_deliveries("chat", {"skipped": 1}))

    def _delivered(self, notice: Notice, channel: Channel) -> None:
        delivery_id, now = new_id(), self._unit.now
        self._outgoing.delivery(delivery_id, notice, channel, sent_at=now)
        delivered = MessageDelivered(
            delivery_id=delivery_id,
            person_id=notice.person_id,
            channel=channel,
            template=notice.template,
            session_id=notice.content.session_id,
            delivered_at=now,
        )
        self._unit.publish(delivered, sequence=1, cause=notice.source.cause)
        self._unit.after_commit(lambda: count_deliveries(channel, {"sent": 1}))

    def stream(self, member_id: str, provider_id: str | None, kind: str, data: dict[str, Any]) -> None:
        """An entry in the live stream of the member, and of the provider if one is named (NOTE-4)."""
        self._outgoing.entries.append(NewEntry(member_id, provider_id, kind, data))

    def session_changed(self, session_id: str, room_id: str, member_id: str, provider_id: str, version: int) -> None:
        """Says in both parties' streams that the session changed."""
        data = {"session_id": session_id, "room_id": room_id, "version": version}
        self.stream(member_id, provider_id, "session.changed", data)

    async def send(self) -> None:
        """Writes what was collected, and wakes the workers and streams once the unit is committed. The e-mail worker
        leases as many e-mails as it has capacity for in the same transaction.
        """
        outgoing, worker = self._outgoing, self._dependencies.email_worker
        leased = await outgoing.write(self._unit, worker.capacity() if outgoing.mails else 0)
        if outgoing.mails:
            worker.send_after_commit(self._unit, leased, len(outgoing.mails))
        people = {person for one in outgoing.entries for person in (one.member_id, one.provider_id) if person}
        signals = self._dependencies.signals
        self._unit.after_commit(lambda: signals.send({f"stream:{person}": True for person in people}))
