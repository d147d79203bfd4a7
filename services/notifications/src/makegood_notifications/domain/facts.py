"""What a message says of its session: taken from the event, kept with the message, so later changes do not alter it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from unicodedata import category

from makegood_contracts.events.sessions import SessionFact

from makegood_notifications.domain.invitations import Invitation, Method


@dataclass(frozen=True, slots=True)
class More:
    """What only some messages say. Ids, times, amounts and words out of closed lists; no names and no texts."""

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
    """Codes of why somebody could not book, with spaces between."""
    change: str = ""
    """What changed a session in the calendar."""
    state: str = ""
    """What became of a credit."""
    erase_at: datetime | None = None
    """When a person's data is erased."""
    change_id: str | None = None
    """The change of an address."""
    sealed_remark: str | None = None
    """What `party` wrote when it cancelled, as it came in the event: opened when the message is sent or read."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Ids and times, no names and no texts. `length_minutes` is 0 where the message is about no appointment."""

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
    """The provider has still to confirm."""
    more: More | None = None
    extended_minutes: int = 0
    """How much of the length extensions added."""

    @property
    def venue_ids(self) -> frozenset[str]:
        """The venues that a message with these facts names: where it is, and where it was before a move."""
        named = (self.venue_id, self.more.was_venue_id if self.more is not None else None)
        return frozenset(venue_id for venue_id in named if venue_id is not None)


def readable(remark: str) -> str:
    """What a person wrote without what is no text: line ends become line feeds, other control characters go."""
    lines = ("".join(sign for sign in line if category(sign) != "Cc") for line in remark.strip().splitlines())
    return "\n".join(lines)


def facts_of(
    event: SessionFact,
    *,
    forfeits: bool = False,
    invitation: Invitation | None = None,
    tentative: bool = False,
    more: More | None = None,
) -> Facts:
    """The facts of `event`, with the calendar message that goes along."""
    return Facts(
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
        more=more,
        extended_minutes=event.extended_minutes,
    )
