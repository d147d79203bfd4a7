"""What follows from a session's events: the read model, and the messages to both parties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import SessionCancelled, SessionMoved
from makegood_contracts.events.sessions import SessionFact

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.announcements import notices
from makegood_notifications.domain.invitations import Invitation, next_invitation
from makegood_notifications.domain.notices import Details, Parties, session_content, source_of
from makegood_notifications.domain.plausibility import implausibility
from makegood_notifications.domain.sessions import status_after
from makegood_notifications.handlers.credits import tell_late_returns
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.handlers.reminders import set_deadlines
from makegood_notifications.store import chat, read_models, remarks
from makegood_notifications.store.read_models import Session


@dataclass(frozen=True, slots=True)
class Followed:
    """An event with what its messages need. `old`: a later version of the session is known. `untold`: a return of its
    credit may have arrived before.
    """

    received: Received[SessionFact]
    invitation: Invitation | None
    parties: Parties
    old: bool
    untold: bool


async def on_session_event(
    batch: Sequence[Received[SessionFact]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Tells both parties, sets reminders, and shares the remark of a cancellation."""
    followed = await follow(batch, unit)
    notifier = Notifier(unit, dependencies)
    await notifier.load_venues(_named_venues(followed))
    for one in followed:
        event = one.received.event
        if not one.old:  # a redriven event must not announce what is out of date (NOTE-3)
            for notice in notices(event, source_of(one.received), one.invitation):
                notifier.tell(notice, one.parties)
            await _share_remark(one.received, unit, notifier)
            set_deadlines(event, unit)
        _stream(event, notifier)
    untold = [one.received.event.session_id for one in followed if one.untold]
    if untold:
        await tell_late_returns(untold, unit, notifier)
    await notifier.send()


async def on_session_step(batch: Sequence[Received[SessionFact]], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Reports the event only in the live stream."""
    notifier = Notifier(unit, dependencies)
    for received in batch:
        _stream(received.event, notifier)
    await notifier.send()


async def follow_sessions(batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> None:
    """Brings the read model up to date. Tells nobody."""
    await follow(batch, unit)


async def follow(batch: Sequence[Received[SessionFact]], unit: UnitOfWork) -> list[Followed]:
    """Brings the read model up to date. Events that cannot be true are refused and left out."""
    followed: list[Followed] = []
    for part in read_models.each_key_once(batch):
        known = await read_models.known_sessions(unit, [received.event for received in part])
        sessions: list[Session] = []
        for received in part:
            event = received.event
            before = known[event.session_id]
            if (why := implausibility(event, before.appointment, unit.now)) is not None:
                unit.refuse(received.id, why)
                continue
            # A known version comes again only if a replay was faster. Then people still have to be told.
            again = event.session_version == before.version
            invitation = next_invitation(event, before.invitation_sequence, again=again)
            old = event.session_version < before.version
            followed.append(Followed(received, invitation, before.parties, old, before.untold))
            sequence = invitation.sequence if invitation else before.invitation_sequence
            sessions.append(Session.after(event, status_after(event, before.status), sequence))
        if sessions:
            await read_models.follow_sessions(unit, sessions)
    return followed


async def _share_remark(received: Received[SessionFact], unit: UnitOfWork, notifier: Notifier) -> None:
    """Posts in the chat what a party wrote when it cancelled, as its own message, if it wanted the other party to read
    it.
    """
    event = received.event
    if not isinstance(event, SessionCancelled) or event.cancelled_by not in ("member", "provider"):
        return
    content = session_content(event, details=Details(party=event.cancelled_by, sealed_remark=event.sealed_remark))
    text = await remarks.taken(unit, content)
    if not text:
        return
    author = event.member_id if event.cancelled_by == "member" else event.provider_id
    # The message has the event's id, so that it is shared only once.
    await chat.share(unit, received.id, event.room_id, text, author, event.cancelled_at)
    entry = {"room_id": event.room_id, "message_id": received.id}
    notifier.stream(event.member_id, event.provider_id, "room.message", entry)


def _named_venues(followed: Sequence[Followed]) -> set[str | None]:
    """The venues that messages about these events name. Most sessions have none."""
    ids: set[str | None] = set()
    for one in followed:
        event = one.received.event
        ids |= {event.venue_id, event.old_venue_id if isinstance(event, SessionMoved) else None}
    return ids


def _stream(event: Any, notifier: Notifier) -> None:
    notifier.session_changed(event.session_id, event.room_id, event.member_id, event.provider_id, event.session_version)
