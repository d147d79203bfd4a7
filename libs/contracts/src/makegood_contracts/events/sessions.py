"""`booking.sessions.v1`: what happens to a session. Instants are UTC; `time_zone` is the IANA zone it was booked in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.reasons import Reason
from makegood_contracts.topics import SESSIONS, Topic

Modality = Literal["video", "audio", "chat", "in_person"]
Party = Literal["member", "provider"]
Actor = Literal["member", "provider", "support", "system"]


class SessionFact(Event, frozen=True, kw_only=True):
    """What every event of a session says, so that no reader needs another one to understand it."""

    topic: ClassVar[Topic] = SESSIONS

    session_id: str
    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: Modality
    time_zone: str
    venue_id: str | None = None
    session_version: int
    """The session's version after this change; rises by one with each."""


class SessionRequested(SessionFact, frozen=True, kw_only=True):
    """A booking was asked for; availability and credits now try their holds."""

    booked_by: Actor
    hold_until: datetime
    """Product time at which a hold that was never settled lapses (AVAIL-4)."""
    policy_version: int


class SessionReserved(SessionFact, frozen=True, kw_only=True):
    """Slot and credit are held; the provider has until `confirm_by` to confirm (CONF-2)."""

    confirm_by: datetime


class SessionRejected(SessionFact, frozen=True, kw_only=True):
    """The booking was refused; whoever holds something for it gives it back."""

    reasons: list[Reason]


class SessionConfirmed(SessionFact, frozen=True, kw_only=True):
    """The session will take place (CONF-1)."""

    confirmed_by: Actor


class SessionDeclined(SessionFact, frozen=True, kw_only=True):
    """The provider declined (CONF-1)."""


class SessionExpired(SessionFact, frozen=True, kw_only=True):
    """Nobody confirmed in time (CONF-2)."""


class SessionCancelled(SessionFact, frozen=True, kw_only=True):
    """A party cancelled, or the platform had to. `forfeits`: the credit is lost (CANC-1)."""

    cancelled_by: Actor
    cancelled_at: datetime
    forfeits: bool
    was_confirmed: bool


class SessionJoined(SessionFact, frozen=True, kw_only=True):
    """A party came (JOIN-1)."""

    party: Party
    joined_at: datetime


class SessionLeft(SessionFact, frozen=True, kw_only=True):
    """A party left (JOIN-1)."""

    party: Party
    left_at: datetime


class SessionStarted(SessionFact, frozen=True, kw_only=True):
    """Both are in and the start has come."""


class SessionCompleted(SessionFact, frozen=True, kw_only=True):
    """Both attended and the end has come; the credit is spent (JOIN-2)."""


class ProviderMissed(SessionFact, frozen=True, kw_only=True):
    """The provider did not come within the grace; everything is made good from here (MISS-1, MISS-2)."""

    absent_party: Literal["provider", "both"]
    missed_at: datetime
    grace_minutes: int


class MemberNoShow(SessionFact, frozen=True, kw_only=True):
    """The member did not come; the credit is forfeited (NOSH-1)."""

    marked_by: Actor
