"""Writes messages down: e-mails and WhatsApp messages are queued, system messages of the chat and entries of a person's own
list are delivered with the transaction (NOTE-1, NOTE-2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from makegood_chassis.database import UnitOfWork
from makegood_contracts.events.deliveries import Channel, MessageDelivered
from makegood_contracts.ids import new_id

from makegood_notifications.domain.announcements import Announcement
from makegood_notifications.domain.facts import Facts
from makegood_notifications.domain.origin import Origin
from makegood_notifications.domain.venues import NO_VENUES, Venues
from makegood_notifications.mail.wording import Wording
from makegood_notifications.store.contacts import Preferences
from makegood_notifications.store.deliveries import LeasedDelivery
from makegood_notifications.store.outgoing import Outgoing


class Dispatcher(Protocol):
    """Sends e-mails that were taken with the transaction which queued them."""

    def room(self) -> int:
        """How many it can take now."""

    def take_with(self, unit: UnitOfWork, taken: Sequence[LeasedDelivery], queued: int) -> None:
        """Sends `taken` once `unit` is committed; `queued` is how many there were to take."""


@dataclass(frozen=True, slots=True)
class Channels:
    """Where messages go on: `mails` takes those e-mails that it has room for along with the transaction; `whatsapp` is woken
    after the commit, and so are the `streams` of people."""

    mails: Dispatcher
    whatsapp: Callable[[], None]
    streams: Callable[[Iterable[str]], None]


class Notifier:
    """Tells one person one thing, by the channels that it goes by."""

    def __init__(self, wording: Wording, outlets: Channels) -> None:
        self._wording = wording
        self._channels = outlets

    def tell(
        self,
        news: Announcement,
        facts: Facts,
        origin: Origin,
        person: Preferences,
        chat_locale: str,
        unit: UnitOfWork,
        outgoing: Outgoing,
        venues: Venues = NO_VENUES,
    ) -> None:
        """`person` are the preferences of the one who is told; `chat_locale` is the member's, in which the room is; `venues` are
        those that the facts name."""
        person_id = facts.member_id if news.to == "member" else facts.provider_id
        if news.mail:
            subject = self._wording.subject(news.template, person.locale)
            outgoing.delivery(new_id(), origin, person_id, "email", news.template, facts, subject=subject)
            if person.whatsapp and not news.calendar:
                outgoing.delivery(new_id(), origin, person_id, "whatsapp", news.template, facts, subject=subject)
                unit.after_commit(self._channels.whatsapp)
        if news.chat:
            self.system_message(
                news.template, person_id, facts, chat_locale, origin, unit, outgoing, person.chat, venues
            )
        elif not news.calendar:
            self._delivered("in_app", news.template, person_id, facts, origin, unit, outgoing)

    def system_message(
        self,
        template: str,
        person_id: str,
        facts: Facts,
        locale: str,
        origin: Origin,
        unit: UnitOfWork,
        outgoing: Outgoing,
        wanted: bool,
        venues: Venues = NO_VENUES,
    ) -> None:
        """A system message in the chat, and its delivery to the person it is for. The room keeps it also where that person
        does not want messages by chat: the other party reads it too, and it is the room's history."""
        message_id = new_id()
        text = self._wording.chat(template, facts, locale, venues=venues)
        outgoing.message(message_id, facts.room_id, template, text, unit.now, origin.event_id)
        entry = {"room_id": facts.room_id, "message_id": message_id}
        outgoing.entry(facts.member_id, facts.provider_id, "room.message", entry)
        if wanted:
            self._delivered("chat", template, person_id, facts, origin, unit, outgoing)
        else:
            outgoing.delivery(new_id(), origin, person_id, "chat", template, facts, wanted=False)

    def _delivered(
        self,
        channel: Channel,
        template: str,
        person_id: str,
        facts: Facts,
        origin: Origin,
        unit: UnitOfWork,
        outgoing: Outgoing,
    ) -> None:
        delivery_id = new_id()
        outgoing.delivery(delivery_id, origin, person_id, channel, template, facts, sent_at=unit.now)
        delivered = MessageDelivered(
            delivery_id=delivery_id,
            person_id=person_id,
            channel=channel,
            template=template,
            session_id=facts.session_id,
            delivered_at=unit.now,
        )
        unit.publish(delivered, sequence=1, cause=origin.cause)

    async def write(self, outgoing: Outgoing, unit: UnitOfWork) -> None:
        """Writes what was collected, and wakes the streams that it concerns."""
        hands = self._channels.mails
        taken = await outgoing.write(unit, hands.room() if outgoing.mails else 0)
        if outgoing.mails:
            hands.take_with(unit, taken, len(outgoing.mails))
        people = {person for entry in outgoing.entries for person in entry[:2] if person}
        unit.after_commit(lambda: self._channels.streams(people))


def session_entry(event: Any, outgoing: Outgoing) -> None:
    """The streams of both parties tell that the session changed."""
    data = {"session_id": event.session_id, "room_id": event.room_id, "version": event.session_version}
    outgoing.entry(event.member_id, event.provider_id, "session.changed", data)
