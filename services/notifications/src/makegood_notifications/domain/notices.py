"""Notices: who is told what, about which session, room or venue, because of which event. A notice is made once, from
its event, and stored with the delivery, so that later changes do not alter it. It has ids, times, amounts and words
from closed lists. Names and texts are added when it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from unicodedata import category

from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events.sessions import Party, SessionFact

from makegood_notifications.domain.invitations import Invitation, Method


@dataclass(frozen=True, slots=True)
class Details:
    """Details that only some notices have."""

    was_at: datetime | None = None
    """The start before a move."""
    was_until: datetime | None = None
    """The end before a move."""
    elsewhere: bool = False
    """Whether a move led to another venue than `was_venue_id`."""
    was_venue_id: str | None = None
    confirm_by: datetime | None = None
    answer_by: datetime | None = None
    open_until: datetime | None = None
    """When an offer of the waitlist lapses."""
    entry_id: str | None = None
    """The entry of the waitlist."""
    invoice_id: str | None = None
    amount_minor: int = 0
    currency: str = ""
    due_on: date | None = None
    about: str = ""
    party: str = ""
    """Who did it: `member`, `provider` or `system`."""
    outcome: str = ""
    old_outcome: str = ""
    obstacles: str = ""
    """The codes of the reasons why somebody could not book, separated by spaces."""
    change: str = ""
    """The kind of change to a session in the calendar."""
    state: str = ""
    """What became of a credit."""
    erase_at: datetime | None = None
    """When a person's data is erased."""
    change_id: str | None = None
    """The id of a change of address."""
    sealed_remark: str | None = None
    """What `party` wrote when it cancelled, sealed as in the event. It is opened when the message is sent or read."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a notice says: the session, room and venue it is about. `length_minutes` is 0 if it is about no appointment."""

    session_id: str | None
    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: str
    time_zone: str
    venue_id: str | None = None
    forfeits: bool = False
    method: Method | None = None
    sequence: int = 0
    tentative: bool = False
    """Whether the provider still has to confirm."""
    details: Details | None = None
    extended_minutes: int = 0
    """How much of the length was added by extensions."""

    @property
    def venue_ids(self) -> frozenset[str]:
        """The venues that a message with this content names: where it is, and where it was before a move."""
        named = (self.venue_id, self.details.was_venue_id if self.details is not None else None)
        return frozenset(venue_id for venue_id in named if venue_id is not None)


@dataclass(frozen=True, slots=True)
class Source:
    """The event that a notice comes from. `occurred_at` is the real time at which it was published."""

    event_id: str
    correlation_id: str
    traceparent: str | None
    occurred_at: datetime

    @property
    def cause(self) -> Cause:
        """The cause for everything that follows from the notice."""
        return Cause(self.correlation_id, self.event_id, self.traceparent)


@dataclass(frozen=True, slots=True)
class Notice:
    """What one party is told. `mail`: by e-mail, and by WhatsApp if they chose it. `chat`: by a system message in the
    room, which both parties read, and otherwise in the person's own list. `calendar`: by an e-mail that is sent only
    for its invitation.
    """

    template: str
    to: Party
    content: Content
    source: Source
    mail: bool = True
    chat: bool = True
    calendar: bool = False

    @property
    def person_id(self) -> str:
        return self.content.member_id if self.to == "member" else self.content.provider_id


@dataclass(frozen=True, slots=True)
class Preferences:
    """What must be known about a person to store a notice. Whether they want e-mail is checked only when it is sent."""

    locale: str = "en"
    whatsapp: bool = False
    chat: bool = True


DEFAULT_PREFERENCES = Preferences()
"""The preferences of somebody who has not said how to reach them."""


@dataclass(frozen=True, slots=True)
class Parties:
    """What both parties of a room prefer. The room's chat is in the member's language."""

    member: Preferences
    provider: Preferences = DEFAULT_PREFERENCES

    @classmethod
    def of(cls, preferences: Mapping[str, Preferences], member_id: str, provider_id: str = "") -> Parties:
        """The parties' preferences. Somebody who has stated none has the default ones."""
        member = preferences.get(member_id, DEFAULT_PREFERENCES)
        return cls(member, preferences.get(provider_id, DEFAULT_PREFERENCES))


def source_of(received: Received[Any]) -> Source:
    return Source(received.id, received.correlation_id, received.traceparent, received.time)


def session_content(
    event: SessionFact,
    *,
    forfeits: bool = False,
    invitation: Invitation | None = None,
    tentative: bool = False,
    details: Details | None = None,
) -> Content:
    """What a notice about `event` says, with the calendar message to attach."""
    return Content(
        session_id=event.session_id,
        room_id=event.room_id,
        member_id=event.member_id,
        provider_id=event.provider_id,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        length_minutes=event.length_minutes,
        modality=event.modality,
        time_zone=event.time_zone,
        venue_id=event.venue_id,
        forfeits=forfeits,
        method=invitation.method if invitation else None,
        sequence=invitation.sequence if invitation else 0,
        tentative=tentative,
        details=details,
        extended_minutes=event.extended_minutes,
    )


def timeless_content(
    member_id: str,
    now: datetime,
    *,
    session_id: str | None = None,
    room_id: str = "",
    provider_id: str = "",
    time_zone: str = "UTC",
    details: Details | None = None,
) -> Content:
    """What a notice says if it is not about an appointment."""
    return Content(session_id, room_id, member_id, provider_id, now, now, 0, "", time_zone, details=details)


def readable(remark: str) -> str:
    """A person's text with plain line feeds and no other control characters."""
    lines = ("".join(sign for sign in line if category(sign) != "Cc") for line in remark.strip().splitlines())
    return "\n".join(lines)
