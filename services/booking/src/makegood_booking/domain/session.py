"""The state of a session. The rules that change it are in the other modules of this package."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from makegood_contracts.events import Actor, Event, Modality, Party
from makegood_contracts.reasons import Reason
from makegood_contracts.values import Value, replace
from makegood_plans.plans import Money

from makegood_booking.domain.policy import Policy
from makegood_booking.domain.presence import NOBODY, AbsentParty, Attendance
from makegood_booking.domain.reschedule import Reschedule

SessionStatus = Literal[
    "requested",
    "reserved",
    "confirmed",
    "in_session",
    "completed",
    "rejected",
    "declined",
    "expired",
    "cancelled",
    "provider_missed",
    "member_no_show",
]
SlotState = Literal["asked", "held", "refused", "released"]
Funding = Literal["asked", "credit", "co_pay", "refused"]
"""How the session is paid for, as credits answered."""
CreditState = Literal["none", "held", "spent", "returned", "forfeited"]
Reconfirmation = Literal["due", "asked", "given"]
"""Whether the provider will be asked if the time still holds, has been asked, or has confirmed it again (CONF-3)."""

OVER: Final[frozenset[SessionStatus]] = frozenset(
    {"completed", "rejected", "declined", "expired", "cancelled", "provider_missed", "member_no_show"}
)
"""The statuses in which a session has ended. They are final."""
AGREED: Final[frozenset[SessionStatus]] = frozenset({"confirmed", "in_session"})


class Appointment(Value, frozen=True):
    """What was booked, by whom and when, under which policy."""

    session_id: str
    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: Modality
    time_zone: str
    venue_id: str | None
    booked_by: Actor
    requested_at: datetime
    policy: Policy

    @property
    def hold_until(self) -> datetime:
        return self.policy.hold_until(self.requested_at)

    @property
    def decide_by(self) -> datetime:
        """When a booking that is still undecided is given up. This is never later than the start."""
        return min(self.policy.decide_by(self.requested_at), self.starts_at)


class Session(Value, frozen=True):
    """One session. `version` rises by one with each event that is published about it."""

    booked: Appointment
    status: SessionStatus
    version: int
    slot: SlotState = "asked"
    funding: Funding = "asked"
    credit: CreditState = "none"
    slot_reasons: tuple[Reason, ...] = ()
    credit_reasons: tuple[Reason, ...] = ()
    purchasable: bool | None = None
    confirm_by: datetime | None = None
    attendance: Attendance = NOBODY
    """Who came and went, at its present time (JOIN-1)."""
    outcome_asked: bool = False
    """Whether the provider is or was asked how it went, because it ended and nobody had checked in (JOIN-3)."""
    absent_party: AbsentParty | None = None
    lot_id: str | None = None
    """The lot from which its credit was first taken."""
    blocked_from: datetime | None = None
    blocked_until: datetime | None = None
    """The provider's time that it takes, including buffers."""
    move: Reschedule | None = None
    """A change of time that is being decided, or the last one that was refused."""
    moved_by_provider: bool = False
    """Whether the provider moved it, and the member has not moved it since (RESC-3)."""
    moved_at_short_notice: bool = False
    """Whether the provider moved it with less notice than the policy requires (RESC-3)."""
    reconfirmation: Reconfirmation | None = None
    extended_minutes: int = 0
    """What extensions added to the booked length. No plan pays for it (EXT-1)."""
    invoiced_minor: int = 0
    """What the invoices of its extensions add up to, in the currency's minor unit (EXT-1)."""
    invoiced_early: bool = False
    """Whether one of them was added before the session began (EXT-1)."""
    co_pay: Money | None = None
    """What it costs if no credit pays for it. None for sessions of an earlier release."""
    reopens_room: bool = False
    """Whether its room is not open: the room opens again once this session, which rebooks a missed one, is reserved
    (MISS-4).
    """
    given_up: bool = False
    """Whether the member cancelled by their own choice, not because of the provider."""
    missed_at: datetime | None = None
    """The moment from which the right to rebook it runs (MISS-4): the miss; its discovery, if that was late; or the
    correction, if support corrected the outcome to a miss.
    """

    @property
    def id(self) -> str:
        return self.booked.session_id

    @property
    def policy(self) -> Policy:
        return self.booked.policy

    @property
    def over(self) -> bool:
        return self.status in OVER

    @property
    def move_pending(self) -> bool:
        return self.move is not None and self.move.pending

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the booking was refused, in a fixed order, whichever answer came first."""
        return self.slot_reasons + self.credit_reasons

    @property
    def credit_settled(self) -> bool:
        """Whether the credit is settled."""
        return self.credit in ("spent", "returned", "forfeited") or self.funding in ("co_pay", "refused")


class Transition(Value, frozen=True):
    """A session after a rule, and what happened, in order. No events: nothing happened that others must know."""

    session: Session
    events: tuple[Event, ...] = ()


DONE: Final[Literal["done"]] = "done"
"""The answer of a rule to a command that would change nothing, because it has been done already."""

RefusalCode = Literal[
    "forfeit-not-accepted",
    "too-early-to-join",
    "not-confirmed",
    "session-over",
    "no-show-not-possible",
    "move-pending",
    "member-must-be-told",
    "no-outcome",
    "outcome-not-asked",
    "check-in-code-wrong",
]


class Refusal(Value, frozen=True):
    """A command that the rules forbid. Nothing changes."""

    code: RefusalCode
    detail: str | None = None
    opens_at: datetime | None = None
    free_until: datetime | None = None
    """The time until which it would have cost nothing."""


def happened(session: Session, kind: type[Event], /, changes: dict[str, Any], **facts: Any) -> Transition:
    """The session with `changes` and the next version, and the event of `kind` that reports it.

    The end of a session also ends its move. Other services conclude that from the ending.
    """
    if changes.get("status") in OVER:
        changes = {"move": None, **changes}
    after = replace(session, version=session.version + 1, **changes)
    return Transition(after, (fact(after, kind, **facts),))


def fact(session: Session, kind: type[Event], /, **facts: Any) -> Event:
    """An event with the session's present state."""
    booked = session.booked
    return kind(
        session_id=booked.session_id,
        room_id=booked.room_id,
        member_id=booked.member_id,
        provider_id=booked.provider_id,
        starts_at=booked.starts_at,
        ends_at=booked.ends_at,
        length_minutes=booked.length_minutes,
        modality=booked.modality,
        time_zone=booked.time_zone,
        venue_id=booked.venue_id,
        session_version=session.version,
        extended_minutes=session.extended_minutes,
        **facts,
    )


def in_room(session: Session, party: Party) -> bool:
    """Whether the party is in the room now: it joined and has not left since."""
    return session.attendance.in_room(party)


def was_present(session: Session, party: Party) -> bool:
    """Whether the party was in the room at the start or later, or will have been if it stays where it is.

    A party who joined and left before the start was not present.
    """
    return session.attendance.was_present(party, session.booked.starts_at)
