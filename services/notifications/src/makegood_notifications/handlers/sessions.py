"""What follows from a session's events: the read model, and the messages to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    MemberNoShow,
    OutcomeAsked,
    OutcomeCorrected,
    OutcomeDisputed,
    ProviderMissed,
    ReconfirmationAsked,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionReconfirmed,
    SessionReserved,
    SessionZoneChanged,
)
from makegood_contracts.events.sessions import SessionFact

from makegood_notifications.domain.announcements import announcements
from makegood_notifications.domain.believing import disbelieved
from makegood_notifications.domain.facts import More, facts_of
from makegood_notifications.domain.invitations import Invitation, next_invitation
from makegood_notifications.domain.origin import origin_of
from makegood_notifications.domain.venues import Venues
from makegood_notifications.handlers.credits import CreditMessages
from makegood_notifications.handlers.reminders import plan
from makegood_notifications.handlers.telling import Notifier, session_entry
from makegood_notifications.store import chat, read_models, remarks, venues
from makegood_notifications.store.contacts import Preferences
from makegood_notifications.store.outgoing import Outgoing
from makegood_notifications.store.read_models import FollowedSession

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
"""Events that lead to one status, and which."""

FOLLOWED: Final[tuple[type[SessionFact], ...]] = (
    *STATUS, SessionMoved, SessionExtended, SessionZoneChanged, ReconfirmationAsked, SessionReconfirmed, OutcomeAsked,
    OutcomeDisputed, OutcomeCorrected,
)  # fmt: skip
"""Events that the read model of sessions follows."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An event with what its message needs. `old`: the session has been heard of at a later version already. `untold`: a return
    of its credit may have come before."""

    received: Received[SessionFact]
    invitation: Invitation | None
    member: Preferences
    provider: Preferences
    old: bool
    untold: bool


def status_after(event: SessionFact, before: str | None) -> str:
    """The session's status after `event`; `before` where the event leaves it."""
    if isinstance(event, SessionMoved | SessionZoneChanged):
        return "confirmed" if event.confirmed else "reserved"
    if isinstance(event, OutcomeCorrected):
        return event.outcome
    return STATUS.get(type(event)) or before or "confirmed"


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
    """Brings the read model up to date; sends nothing. Replays call this alone. What cannot be is refused and left out."""
    followed: list[Followed] = []
    for part in rounds(batch):
        known = await read_models.known_sessions(unit, [received.event for received in part])
        rows: list[FollowedSession] = []
        for received in part:
            event = received.event
            before = known[event.session_id]
            if (why := disbelieved(event, before.appointment, unit.now)) is not None:
                unit.refuse(received.id, why)
                continue
            # The very version that is known comes again only where a replay was faster: that one still has to be told.
            again = event.session_version == before.version
            invitation = next_invitation(event, before.invitation_sequence, again=again)
            old = event.session_version < before.version
            followed.append(Followed(received, invitation, before.member, before.provider, old, before.untold))
            sequence = invitation.sequence if invitation else before.invitation_sequence
            rows.append(FollowedSession(event, status_after(event, before.status), sequence))
        if rows:
            await read_models.follow_sessions(unit, rows)
    return followed


class SessionMessages:
    """Tells people of sessions."""

    def __init__(self, notifier: Notifier, credits_: CreditMessages) -> None:
        self._notifier = notifier
        self._credits = credits_

    async def followed(self, batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> None:
        """Handler of events that change a session's standing."""
        outgoing = Outgoing()
        followed = await follow(batch, unit)
        # NOTE-3: an event put back from the dead letters must not tell old news.
        places = await _places(followed, unit)
        for one in followed:
            if not one.old:
                self._announce(one, places, unit, outgoing)
                await _share_remark(one.received, unit, outgoing)
                plan(one.received.event, unit)
            session_entry(one.received.event, outgoing)
        untold = [one.received.event.session_id for one in followed if one.untold]
        if untold:
            await self._credits.tell_late_returns(untold, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def passing(self, batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> None:
        """Handler of events that only the stream tells of."""
        outgoing = Outgoing()
        for received in batch:
            session_entry(received.event, outgoing)
        await self._notifier.write(outgoing, unit)

    def _announce(self, one: Followed, places: Venues, unit: UnitOfWork, outgoing: Outgoing) -> None:
        event = one.received.event
        for message in announcements(event, invited=one.invitation is not None):
            facts = facts_of(
                event,
                forfeits=message.forfeits,
                invitation=one.invitation,
                tentative=message.tentative,
                more=message.more,
            )
            person = one.member if message.to == "member" else one.provider
            origin = origin_of(one.received)
            self._notifier.tell(message, facts, origin, person, one.member.locale, unit, outgoing, places)


async def _share_remark(received: Received[SessionFact], unit: UnitOfWork, outgoing: Outgoing) -> None:
    """The chat has what a party wrote when it cancelled, as its own words, if it wanted the other one to read them."""
    event = received.event
    if not isinstance(event, SessionCancelled) or event.cancelled_by not in ("member", "provider"):
        return
    facts = facts_of(event, more=More(party=event.cancelled_by, sealed_remark=event.sealed_remark))
    text = await remarks.taken(unit, facts)
    if not text:
        return
    author = event.member_id if event.cancelled_by == "member" else event.provider_id
    # The event's id is the message's: told again it is the same one, and it stands where it was written.
    await chat.share(unit, received.id, event.room_id, text, author, event.cancelled_at)
    entry = {"room_id": event.room_id, "message_id": received.id}
    outgoing.entry(event.member_id, event.provider_id, "room.message", entry)


async def _places(followed: Sequence[Followed], unit: UnitOfWork) -> Venues:
    """The venues that messages about these events name: few sessions are in person, and for others nothing is asked."""
    ids: set[str | None] = set()
    for one in followed:
        event = one.received.event
        ids |= {event.venue_id, event.old_venue_id if isinstance(event, SessionMoved) else None}
    return await venues.find(unit, ids)
