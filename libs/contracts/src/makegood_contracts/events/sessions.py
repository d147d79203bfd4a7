"""`booking.sessions.v1`: what happens to a session. Instants are UTC; `time_zone` is the IANA zone it was booked in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.reasons import Reason
from makegood_contracts.topics import SESSIONS, Topic

Modality = Literal["video", "audio", "chat", "in_person"]
Party = Literal["member", "provider"]
Actor = Literal["member", "provider", "support", "system"]
Specialty = Literal["therapy", "psychiatry"]
CancelCause = Literal["asked", "time_off", "change_of_provider", "lost_hold", "provider_erased", "member_erased"]
Outcome = Literal["completed", "provider_missed", "member_no_show"]
"""How a session that was to take place ended: what can be disputed and corrected (MISS-5)."""
Claim = Literal["i_was_there", "they_were_not"]
LONGEST_SEALED_REMARK: Final = 10800
"""Characters: 2000 of a remark, as UTF-8 sealed and in base64."""


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
    extended_minutes: int = 0
    """EXT-1: what extensions added to the length that was booked, which is what a plan pays for."""


class SessionRequested(SessionFact, frozen=True, kw_only=True):
    """A booking was asked for; availability and credits now try their holds."""

    booked_by: Actor
    hold_until: datetime
    """Product time at which a hold that was never settled lapses (AVAIL-4)."""
    policy_version: int
    specialty: Specialty = "therapy"
    """The provider's, as booking knew it: it decides which of a plan's lengths apply (PLAN-1)."""
    co_pay_due_days: int = 14
    """CRED-7: how long after the session its co-pay is due, by the policy that it is booked under."""


class SessionReserved(SessionFact, frozen=True, kw_only=True):
    """Slot and credit are held; the provider has until `confirm_by` to confirm (CONF-2)."""

    confirm_by: datetime


class SessionRejected(SessionFact, frozen=True, kw_only=True):
    """The booking was refused; whoever holds something for it gives it back."""

    reasons: list[Reason]


class SessionConfirmed(SessionFact, frozen=True, kw_only=True):
    """The session will take place (CONF-1)."""

    confirmed_by: Actor
    remind_at: tuple[datetime, ...] = ()
    """When both parties are reminded, as long as the session stands as it does now (REM-1)."""


class ReconfirmationAsked(SessionFact, frozen=True, kw_only=True):
    """The session is coming up; the provider is asked whether the time still holds (CONF-3)."""


class SessionReconfirmed(SessionFact, frozen=True, kw_only=True):
    """The provider said that the time still holds (CONF-3)."""


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
    cause: CancelCause = "asked"
    caused_by_provider: bool = False
    """The member cancelled for what the provider did: moved the session, charged an early extension, or was not there when it
    began (RESC-3, EXT-1, CANC-1). The credit returns as if the provider had cancelled (MISS-2)."""
    sealed_remark: Annotated[str, msgspec.Meta(max_length=LONGEST_SEALED_REMARK)] | None = None
    """What the party wrote and wants the other one to read: ciphertext in base64, which notifications alone opens, with the
    author's key, and nobody once that is destroyed."""


class SessionJoined(SessionFact, frozen=True, kw_only=True):
    """A party came (JOIN-1)."""

    party: Party
    joined_at: datetime
    how: Literal["joined", "code", "provider"] = "joined"
    """JOIN-3: `code`: checked in with the venue's code. `provider`: the provider checked them in."""


class SessionLeft(SessionFact, frozen=True, kw_only=True):
    """A party left (JOIN-1)."""

    party: Party
    left_at: datetime


class SessionStarted(SessionFact, frozen=True, kw_only=True):
    """Both are in and the start has come."""


class OutcomeAsked(SessionFact, frozen=True, kw_only=True):
    """A session in person has ended and nobody had checked in: the provider is asked how it went (JOIN-3). Without an answer by
    `answer_by` it counts as the provider's miss."""

    answer_by: datetime


class SessionCompleted(SessionFact, frozen=True, kw_only=True):
    """The two met and the end has come; the credit is spent (JOIN-2). `told_by`: who said so, if nobody had checked in (JOIN-3)."""

    told_by: Actor = "system"


class ProviderMissed(SessionFact, frozen=True, kw_only=True):
    """The session did not take place because of the provider; everything is made good from here (MISS-1, JOIN-2, MISS-2)."""

    absent_party: Literal["provider", "both"]
    missed_at: datetime
    grace_minutes: int
    told_by: Actor = "system"
    """Who said so, if nobody had checked in (JOIN-3)."""


class MemberNoShow(SessionFact, frozen=True, kw_only=True):
    """The member did not come (NOSH-1). `forfeits`: the credit is lost; it returns where the provider had moved the session with
    less notice than the policy asks (RESC-3)."""

    marked_by: Actor
    forfeits: bool = True


class MoveFact(SessionFact, frozen=True, kw_only=True):
    """What every event of a move says: the session as it stands, and where it is to go. Until `SessionMoved` it stays."""

    move_id: str
    """Names one move; availability and credits answer with it."""
    moved_by: Party
    new_starts_at: datetime
    new_ends_at: datetime
    new_length_minutes: int
    new_time_zone: str
    new_venue_id: str | None = None
    forfeits: bool
    """Less notice than the policy asks, and accepted: the old credit is lost and a new one needed (RESC-1)."""
    caused_by_provider: bool = False
    """The member moves it for what the provider did: moved the session, or charged an early extension (RESC-3, EXT-1). What is
    held pays for the new time where nothing else does."""
    decide_by: datetime
    """Product time from which on nobody grants this move any more."""
    specialty: Specialty = "therapy"


class SessionMoveRequested(MoveFact, frozen=True, kw_only=True):
    """A move was asked for (RESC-1); credits sees first whether it is paid for."""


class SessionMoveFunded(MoveFact, frozen=True, kw_only=True):
    """What the moved session costs is set aside; availability now swaps the slots, or refuses."""


class SessionMoveRefused(MoveFact, frozen=True, kw_only=True):
    """The move is off and everything stays as it was (RESC-1); what was set aside for it goes back."""

    reasons: list[Reason]


class SessionMoved(SessionFact, frozen=True, kw_only=True):
    """The session has another time, length or place (RESC-1); the facts are the new ones. RESC-4: SEQUENCE rises."""

    move_id: str
    moved_by: Party
    moved_at: datetime
    old_starts_at: datetime
    old_ends_at: datetime
    old_venue_id: str | None = None
    forfeits: bool
    caused_by_provider: bool = False
    """The member moved it for what the provider did, as in `SessionMoveRequested`. A credit that another one took the place of
    returns as if the provider had moved the session (MISS-2)."""
    confirmed: bool
    """False: the provider has to confirm the new time by `confirm_by`."""
    confirm_by: datetime | None
    notify_member: bool = True
    remind_at: tuple[datetime, ...] = ()


class SessionZoneChanged(SessionFact, frozen=True, kw_only=True):
    """The session is shown in another time zone (RESC-5). It takes place at the same moment as before; RESC-4: SEQUENCE rises."""

    changed_by: Party
    old_time_zone: str
    confirmed: bool
    notify_member: bool = True


class InvoiceWish(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that the provider asks for an extension; money in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str
    due_on: date


class SessionExtensionRequested(SessionFact, frozen=True, kw_only=True):
    """The provider wants to go on until `new_ends_at` (EXT-1); availability answers with `move_id`."""

    move_id: str
    new_ends_at: datetime
    decide_by: datetime


class SessionExtensionRefused(SessionFact, frozen=True, kw_only=True):
    """The session ends as planned (EXT-1)."""

    move_id: str
    reasons: list[Reason]


class SessionExtended(SessionFact, frozen=True, kw_only=True):
    """The session has a later end (EXT-1); the facts are the new ones."""

    move_id: str
    old_ends_at: datetime
    invoice: InvoiceWish | None = None


class OutcomeDisputed(SessionFact, frozen=True, kw_only=True):
    """A party says that the session did not end as recorded (MISS-5). What they wrote stands in booking alone."""

    disputed_by: Party
    claim: Claim
    outcome: Outcome


class OutcomeCorrected(SessionFact, frozen=True, kw_only=True):
    """Support changed how the session ended (MISS-5); credits follow by new entries."""

    old_outcome: Outcome
    outcome: Outcome
    corrected_by: str
    corrected_at: datetime
    no_show_forfeits: bool = True
    """Whether this session costs a member who does not come the credit (RESC-3)."""
