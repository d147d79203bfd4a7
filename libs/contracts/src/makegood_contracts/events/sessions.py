"""`booking.sessions.v1`: the life of a session. Instants are in UTC; `time_zone` is the IANA zone it was booked in."""

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
SessionOutcome = Literal["completed", "provider_missed", "member_no_show"]
"""The outcome of a session: it can be disputed and corrected (MISS-5)."""
DisputeClaim = Literal["i_was_there", "they_were_not"]
LONGEST_SEALED_REMARK: Final = 10800
"""In characters: a remark of 2000 characters, encrypted as UTF-8 and encoded in base64."""


class SessionFact(Event, frozen=True, kw_only=True):
    """The fields of every session event. Each event can be understood without earlier ones."""

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
    """The session's version after this change. Each change adds one."""
    extended_minutes: int = 0
    """Minutes that extensions added to the booked length (EXT-1). The plan pays for the booked length only."""


class SessionRequested(SessionFact, frozen=True, kw_only=True):
    """A booking was requested. Availability and credits now try to hold a slot and a credit."""

    booked_by: Actor
    hold_until: datetime
    """When a hold that was never settled lapses, in product time (AVAIL-4)."""
    policy_version: int
    specialty: Specialty = "therapy"
    """The provider's specialty, as booking knows it. It decides which of the plan's lengths apply (PLAN-1)."""
    co_pay_due_days: int = 14
    """Days from the session until its co-pay is due, from the policy it was booked under (CRED-7)."""


class SessionReserved(SessionFact, frozen=True, kw_only=True):
    """Slot and credit are held. The provider has until `confirm_by` to confirm (CONF-2)."""

    confirm_by: datetime


class SessionRejected(SessionFact, frozen=True, kw_only=True):
    """The booking was refused. Whatever is held for it is released."""

    reasons: list[Reason]


class SessionConfirmed(SessionFact, frozen=True, kw_only=True):
    """The session will take place (CONF-1)."""

    confirmed_by: Actor
    remind_at: tuple[datetime, ...] = ()
    """When both parties are reminded, unless the session changes (REM-1)."""


class ReconfirmationAsked(SessionFact, frozen=True, kw_only=True):
    """The session is coming up, and the provider is asked to reconfirm the time (CONF-3)."""


class SessionReconfirmed(SessionFact, frozen=True, kw_only=True):
    """The provider reconfirmed the time (CONF-3)."""


class SessionDeclined(SessionFact, frozen=True, kw_only=True):
    """The provider declined the session (CONF-1)."""


class SessionExpired(SessionFact, frozen=True, kw_only=True):
    """The session was not confirmed in time (CONF-2)."""


class SessionCancelled(SessionFact, frozen=True, kw_only=True):
    """A party or the platform cancelled the session. `forfeits`: the credit is forfeited (CANC-1)."""

    cancelled_by: Actor
    cancelled_at: datetime
    forfeits: bool
    was_confirmed: bool
    cause: CancelCause = "asked"
    caused_by_provider: bool = False
    """The member cancelled because the provider had moved the session, added an invoice before it began, or was not there at
    the start (RESC-3, EXT-1, CANC-1). The credit returns as if the provider had cancelled (MISS-2)."""
    sealed_remark: Annotated[str, msgspec.Meta(max_length=LONGEST_SEALED_REMARK)] | None = None
    """A remark for the other party, encrypted, in base64. Only notifications can decrypt it, with the author's private key.
    Once that key is destroyed, nobody can."""


class SessionJoined(SessionFact, frozen=True, kw_only=True):
    """A party joined the session (JOIN-1)."""

    party: Party
    joined_at: datetime
    how: Literal["joined", "code", "provider"] = "joined"
    """In person (JOIN-3), `code`: the party checked in with the venue's code; `provider`: the provider checked them in."""


class SessionLeft(SessionFact, frozen=True, kw_only=True):
    """A party left the session (JOIN-1)."""

    party: Party
    left_at: datetime


class SessionStarted(SessionFact, frozen=True, kw_only=True):
    """The start has come and both parties are in the session."""


class OutcomeAsked(SessionFact, frozen=True, kw_only=True):
    """An in-person session ended and nobody had checked in. The provider is asked how it went (JOIN-3); without an answer by
    `answer_by` it counts as the provider's miss."""

    answer_by: datetime


class SessionCompleted(SessionFact, frozen=True, kw_only=True):
    """The session ended and the parties had met, so the credit is spent (JOIN-2). `told_by`: who reported it if nobody
    checked in (JOIN-3)."""

    told_by: Actor = "system"


class ProviderMissed(SessionFact, frozen=True, kw_only=True):
    """The provider missed the session. All consequences, such as the returned credit, follow from this event (MISS-1, MISS-2,
    JOIN-2)."""

    absent_party: Literal["provider", "both"]
    missed_at: datetime
    grace_minutes: int
    told_by: Actor = "system"
    """Who reported it, if nobody had checked in (JOIN-3)."""


class MemberNoShow(SessionFact, frozen=True, kw_only=True):
    """The member did not come (NOSH-1). `forfeits`: the credit is forfeited. It is false, and the credit returns, if the
    provider had moved the session with less notice than the policy requires (RESC-3)."""

    marked_by: Actor
    forfeits: bool = True


class MoveFact(SessionFact, frozen=True, kw_only=True):
    """The fields of every event about a requested move: the session as it is, and the new values in `new_…`. It changes only
    with `SessionMoved`."""

    move_id: str
    """Identifies the move. Availability and credits repeat it in their answers."""
    moved_by: Party
    new_starts_at: datetime
    new_ends_at: datetime
    new_length_minutes: int
    new_time_zone: str
    new_venue_id: str | None = None
    forfeits: bool
    """The notice is shorter than the policy requires, and the request accepts this: the old credit is forfeited and a new one
    is needed (RESC-1)."""
    caused_by_provider: bool = False
    """The member moves the session because the provider had moved it or added an invoice before it began (RESC-3, EXT-1). The
    present hold pays for the new time if nothing else does."""
    decide_by: datetime
    """From when on the move is no longer granted, in product time."""
    specialty: Specialty = "therapy"


class SessionMoveRequested(MoveFact, frozen=True, kw_only=True):
    """A move was requested (RESC-1). Credits first checks whether it can be paid for."""


class SessionMoveFunded(MoveFact, frozen=True, kw_only=True):
    """The price of the moved session is held. Availability now swaps the slots, or refuses."""


class SessionMoveRefused(MoveFact, frozen=True, kw_only=True):
    """The move was refused and the session stays as it was (RESC-1). Whatever was held for the move is released."""

    reasons: list[Reason]


class SessionMoved(SessionFact, frozen=True, kw_only=True):
    """The session moved to another time, length or venue (RESC-1). Fields without `old_` have the new values. SEQUENCE rises
    (RESC-4)."""

    move_id: str
    moved_by: Party
    moved_at: datetime
    old_starts_at: datetime
    old_ends_at: datetime
    old_venue_id: str | None = None
    forfeits: bool
    caused_by_provider: bool = False
    """The member moved the session because of the provider, as in `SessionMoveRequested`. If another credit replaced the old one,
    the old one returns as if the provider had moved the session (MISS-2)."""
    confirmed: bool
    """False: the provider must confirm the new time by `confirm_by`."""
    confirm_by: datetime | None
    notify_member: bool = True
    remind_at: tuple[datetime, ...] = ()


class SessionZoneChanged(SessionFact, frozen=True, kw_only=True):
    """The session is shown in another time zone; its instant is unchanged (RESC-5). SEQUENCE rises (RESC-4)."""

    changed_by: Party
    old_time_zone: str
    confirmed: bool
    notify_member: bool = True


class InvoiceWish(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that the provider adds to an extension, in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str
    due_on: date


class SessionExtensionRequested(SessionFact, frozen=True, kw_only=True):
    """The provider asks to extend the session to `new_ends_at` (EXT-1). Availability answers with the same `move_id`."""

    move_id: str
    new_ends_at: datetime
    decide_by: datetime


class SessionExtensionRefused(SessionFact, frozen=True, kw_only=True):
    """The extension was refused; the session ends as planned (EXT-1)."""

    move_id: str
    reasons: list[Reason]


class SessionExtended(SessionFact, frozen=True, kw_only=True):
    """The session was extended (EXT-1). Fields without `old_` have the new values."""

    move_id: str
    old_ends_at: datetime
    invoice: InvoiceWish | None = None


class OutcomeDisputed(SessionFact, frozen=True, kw_only=True):
    """A party disputes the recorded outcome (MISS-5). Only booking keeps what they wrote."""

    disputed_by: Party
    claim: DisputeClaim
    outcome: SessionOutcome


class OutcomeCorrected(SessionFact, frozen=True, kw_only=True):
    """Support corrected the outcome (MISS-5). Credits makes new ledger entries to match."""

    old_outcome: SessionOutcome
    outcome: SessionOutcome
    corrected_by: str
    corrected_at: datetime
    no_show_forfeits: bool = True
    """Whether a member who does not come to this session forfeits the credit (RESC-3)."""
