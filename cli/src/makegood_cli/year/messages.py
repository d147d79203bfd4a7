"""What people are told, and how that was delivered (NOTE-1). There are no addresses and no texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    Channel,
    MessageDelivered,
    MessageFailed,
    SessionCancelled,
    SessionConfirmed,
    SessionMoved,
)
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.ids import new_id
from makegood_notifications.domain.announcements import Announcement, announcements

from makegood_cli.year.simulation import Simulation

_FAILED: Final = 0.003
_SLOW: Final = 0.01


@dataclass(frozen=True)
class Parties:
    """A room's member and provider, and whether the member also wants WhatsApp messages."""

    member_id: str
    provider_id: str
    whatsapp: bool


def of_session(event: SessionFact) -> Iterable[Announcement]:
    """Who is told about a session's event. The provider's calendar follows what was confirmed (NOTE-1)."""
    match event:
        case SessionCancelled():
            return announcements(event, invited=event.was_confirmed)
        case SessionConfirmed() | SessionMoved():
            return announcements(event, invited=True)
        case _:
            return announcements(event)


class Messages:
    """Delivers messages by every channel of an announcement."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._erased: set[str] = set()

    def forget(self, person_id: str) -> None:
        """A person was erased, and gets no more messages."""
        self._erased.add(person_id)

    def tell(self, parties: Parties, told: Iterable[Announcement], session_id: str | None, cause: Cause) -> None:
        """Tells one party what each announcement says."""
        for one in told:
            to_member = one.to == "member"
            person = parties.member_id if to_member else parties.provider_id
            if person in self._erased:
                continue
            if one.mail:
                self._send(person, "email", one.template, session_id, cause)
                if parties.whatsapp and to_member:
                    self._send(person, "whatsapp", one.template, session_id, cause)
            if one.chat:
                self._send(person, "chat", one.template, session_id, cause)
            elif not one.calendar:
                self._send(person, "in_app", one.template, session_id, cause)

    def _send(self, person: str, channel: Channel, template: str, session_id: str | None, cause: Cause) -> None:
        outside = channel in ("email", "whatsapp")
        failed = outside and self._simulation.chance(_FAILED)

        def deliver() -> None:
            now, delivery_id = self._simulation.now, new_id()
            event = (
                MessageFailed(
                    delivery_id=delivery_id, person_id=person, channel=channel, template=template,
                    session_id=session_id, failure="refused",
                )
                if failed
                else MessageDelivered(
                    delivery_id=delivery_id, person_id=person, channel=channel, template=template,
                    session_id=session_id, delivered_at=now,
                )
            )  # fmt: skip
            self._simulation.publish(event, sequence=1, cause=cause)

        if not outside:
            self._simulation.soon(deliver)
        elif self._simulation.chance(_SLOW):  # the other server asks to come again later
            self._simulation.soon(deliver, 15, 90)
        else:
            self._simulation.soon(deliver, 0.05, 1.5)
