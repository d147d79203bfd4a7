"""What follows from a session's events: the read model, and the messages to people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditReturned,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionReserved,
)
from makegood_contracts.events.deliveries import MessageDelivered
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.ids import new_id

from makegood_notifications.domain.announcements import announcement, tells_of_return
from makegood_notifications.domain.facts import Facts, facts_of
from makegood_notifications.domain.invitations import Invitation, next_invitation
from makegood_notifications.domain.origin import Origin, origin_of
from makegood_notifications.mail.wording import Wording
from makegood_notifications.store import read_models, returns
from makegood_notifications.store.outgoing import Outgoing
from makegood_notifications.store.read_models import FollowedSession
from makegood_notifications.store.returns import ReturnToTell

STATUS: Final[dict[type[SessionFact], str]] = {
    SessionReserved: "reserved",
    SessionConfirmed: "confirmed",
    SessionDeclined: "declined",
    SessionExpired: "expired",
    SessionCancelled: "cancelled",
    SessionCompleted: "completed",
    ProviderMissed: "provider_missed",
    MemberNoShow: "member_no_show",
}
"""Events that the read model of sessions follows, and the status each leads to."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An event with what its message needs. `old`: the session has been heard of at a later version already."""

    received: Received[SessionFact]
    invitation: Invitation | None
    locale: str
    old: bool


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where messages go on: `sender` takes the e-mails that the unit has queued, so many; `streams` wakes those of people after the commit."""

    sender: Callable[[UnitOfWork, int], Awaitable[None]]
    streams: Callable[[Iterable[str]], None]


def rounds(batch: Sequence[Received[Any]]) -> list[list[Received[Any]]]:
    """The batch in parts in which no entity comes twice, in order: statements over a part change each row once."""
    parts: list[list[Received[Any]]] = []
    seen: dict[str, int] = {}
    for received in batch:
        number = seen.get(received.key, 0)
        seen[received.key] = number + 1
        if number == len(parts):
            parts.append([])
        parts[number].append(received)
    return parts


async def follow(batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> list[Followed]:
    """Brings the read model up to date; sends nothing. Replays call this alone."""
    followed: list[Followed] = []
    for part in rounds(batch):
        known = await read_models.known_sessions(unit, [received.event for received in part])
        rows: list[FollowedSession] = []
        for received in part:
            event = received.event
            before = known[event.session_id]
            # The very version that is known comes again only where a replay was faster: that one still has to be told.
            again = event.session_version == before.version
            invitation = next_invitation(event, before.invitation_sequence, again=again)
            followed.append(Followed(received, invitation, before.locale, event.session_version < before.version))
            sequence = invitation.sequence if invitation else before.invitation_sequence
            rows.append(FollowedSession(event, STATUS[type(event)], sequence))
        await read_models.follow_sessions(unit, rows)
    return followed


class SessionMessages:
    """Tells people of sessions: e-mails are queued, system messages of the chat and stream entries are written."""

    def __init__(self, wording: Wording, outlets: Outlets) -> None:
        self._wording = wording
        self._outlets = outlets

    async def followed(self, batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> None:
        """Handler of events that change a session's standing."""
        outgoing = Outgoing()
        followed = await follow(batch, unit)
        for one in followed:
            self._announce(one, unit, outgoing)
            _stream(one.received.event, outgoing)
        await self._tell_late_returns([one.received.event.session_id for one in followed], unit, outgoing)
        await self._write(outgoing, unit)

    async def passing(self, batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> None:
        """Handler of events that only the stream tells of."""
        outgoing = Outgoing()
        for received in batch:
            _stream(received.event, outgoing)
        await self._write(outgoing, unit)

    async def credits_returned(self, batch: Sequence[Received[CreditReturned]], unit: UnitOfWork) -> None:
        """The chat tells that the credit came back (ROOM-4); a session not heard of yet is told of once it is."""
        outgoing = Outgoing()
        told = [
            ReturnToTell(received.event.session_id, origin_of(received))
            for received in batch
            if tells_of_return(received.event)
        ]
        for received in batch:
            outgoing.entry(received.event.member_id, None, "credits.changed", {"member_id": received.event.member_id})
        await self._tell_returns(told, unit, outgoing, keep=True)
        await self._write(outgoing, unit)

    async def credits_changed(self, batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        """Any other movement of a member's credits: their stream tells of it."""
        outgoing = Outgoing()
        for received in batch:
            outgoing.entry(received.event.member_id, None, "credits.changed", {"member_id": received.event.member_id})
        await self._write(outgoing, unit)

    def _announce(self, one: Followed, unit: UnitOfWork, outgoing: Outgoing) -> None:
        received, event = one.received, one.received.event
        news = announcement(event)
        if news is None or one.old:  # NOTE-3: an event put back from the dead letters must not tell old news
            return
        invitation = one.invitation
        facts = facts_of(
            event,
            forfeits=news.forfeits,
            method=invitation.method if invitation else None,
            sequence=invitation.sequence if invitation else 0,
        )
        outgoing.delivery(
            new_id(),
            origin_of(received),
            event.member_id,
            "email",
            news.template,
            facts,
            subject=self._wording.subject(news.template, one.locale),
        )
        self._system_message(news.template, facts, one.locale, origin_of(received), unit, outgoing)

    def _system_message(
        self, template: str, facts: Facts, locale: str, origin: Origin, unit: UnitOfWork, outgoing: Outgoing
    ) -> None:
        """A system message in the chat, and its delivery to the member, who is the one it is for."""
        message_id, delivery_id = new_id(), new_id()
        text = self._wording.chat(template, facts, locale)
        outgoing.message(message_id, facts.room_id, template, text, unit.now, origin.event_id)
        outgoing.delivery(delivery_id, origin, facts.member_id, "chat", template, facts, sent_at=unit.now)
        entry = {"room_id": facts.room_id, "message_id": message_id}
        outgoing.entry(facts.member_id, facts.provider_id, "room.message", entry)
        delivered = MessageDelivered(
            delivery_id=delivery_id,
            person_id=facts.member_id,
            channel="chat",
            template=template,
            session_id=facts.session_id,
            delivered_at=unit.now,
        )
        unit.publish(delivered, sequence=1, cause=origin.cause)

    async def _tell_returns(
        self, told: Sequence[ReturnToTell], unit: UnitOfWork, outgoing: Outgoing, *, keep: bool
    ) -> None:
        if not told:
            return
        known = await returns.facts_of_sessions(unit, [one.session_id for one in told])
        unknown: list[ReturnToTell] = []
        for one in told:
            if one.session_id not in known:
                unknown.append(one)
                continue
            facts, locale = known[one.session_id]
            self._system_message("credit-returned", facts, locale, one.origin, unit, outgoing)
        if keep and unknown:
            await returns.keep(unit, unknown)

    async def _tell_late_returns(self, session_ids: Sequence[str], unit: UnitOfWork, outgoing: Outgoing) -> None:
        late = await returns.take(unit, session_ids)
        await self._tell_returns(late, unit, outgoing, keep=False)

    async def _write(self, outgoing: Outgoing, unit: UnitOfWork) -> None:
        await outgoing.write(unit)
        if outgoing.queued:
            await self._outlets.sender(unit, outgoing.queued)
        people = {person for entry in outgoing.entries for person in entry[:2] if person}
        unit.after_commit(lambda: self._outlets.streams(people))


def _stream(event: SessionFact, outgoing: Outgoing) -> None:
    data = {"session_id": event.session_id, "room_id": event.room_id, "version": event.session_version}
    outgoing.entry(event.member_id, event.provider_id, "session.changed", data)
