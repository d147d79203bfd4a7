"""`….state.v1`: the latest state of each entity, for readers who want a table and not its history.

A state is no fact: it says how its entity is, and replaces what was said before. States in between may be left out.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.events.deliveries import Channel
from makegood_contracts.events.reservations import ReleaseCause
from makegood_contracts.events.sessions import Actor, Modality
from makegood_contracts.topics import (
    BALANCES_STATE,
    DELIVERIES_STATE,
    ENROLMENTS_STATE,
    HOLDS_STATE,
    INVOICES_STATE,
    ROOMS_STATE,
    SESSIONS_STATE,
    Topic,
)


class SessionState(Event, frozen=True, kw_only=True):
    """A session as it is now. Its credit is in `credits.ledger.v1`, and who joined when in `booking.sessions.v1`."""

    topic: ClassVar[Topic] = SESSIONS_STATE

    session_id: str
    room_id: str
    member_id: str
    provider_id: str
    status: Literal[
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
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: Modality
    time_zone: str
    venue_id: str | None = None
    session_version: int
    """The session's version. Its events up to this `ce_sequence` are included."""
    extended_minutes: int = 0
    """Minutes that extensions added to the booked length (EXT-1)."""
    booked_by: Actor
    policy_version: int
    absent_party: Literal["provider", "member", "both"] | None = None
    """Who was absent from a session that was missed."""


class RoomState(Event, frozen=True, kw_only=True):
    """A room as it is now."""

    topic: ClassVar[Topic] = ROOMS_STATE

    room_id: str
    member_id: str
    provider_id: str
    status: Literal["active", "closed"]
    opened_at: datetime
    """When it was opened for the first time."""
    room_version: int


class HoldState(Event, frozen=True, kw_only=True):
    """A slot that is or was held for a session. The slot is [starts_at, ends_at), without buffers."""

    topic: ClassVar[Topic] = HOLDS_STATE

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None = None
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    """The provider's blocked time ends here; `blocked_from` to `blocked_until` includes buffers."""
    hold_until: datetime
    """When a hold lapses whose session was never reserved, in product time (AVAIL-4)."""
    status: Literal["held", "released"]
    cause: ReleaseCause | None = None
    """Why it was released."""


class BalanceState(Event, frozen=True, kw_only=True):
    """How many credits a member has now."""

    topic: ClassVar[Topic] = BALANCES_STATE

    member_id: str
    available: int
    """Credits that can pay for a session."""
    held: int
    """Credits that are set aside for sessions that are not settled yet."""


class InvoiceState(Event, frozen=True, kw_only=True):
    """A charge as it is now (CRED-7). Money is in minor units of an ISO 4217 currency."""

    topic: ClassVar[Topic] = INVOICES_STATE

    invoice_id: str
    member_id: str
    session_id: str | None = None
    status: Literal["pending", "issued", "paid", "void", "overdue"]
    """`pending`: of a session that has not ended, so nothing is owed yet."""
    about: Literal["co_pay", "extension"]
    amount_minor: int
    currency: str
    due_on: date


class EnrolmentState(Event, frozen=True, kw_only=True):
    """A member's plan as it is now. The days are inclusive, as dates in `time_zone` (PLAN-1)."""

    topic: ClassVar[Topic] = ENROLMENTS_STATE

    enrolment_id: str
    member_id: str
    plan_id: str
    starts_on: date
    ends_on: date | None = None
    """The last day that was agreed; none: without an end."""
    ended_on: date | None = None
    """The day on which a later enrolment replaced it, or its member was erased."""
    time_zone: str


class DeliveryState(Event, frozen=True, kw_only=True):
    """A message to one person by one channel, without its text."""

    topic: ClassVar[Topic] = DELIVERIES_STATE

    delivery_id: str
    person_id: str
    channel: Channel
    template: str
    session_id: str | None = None
    status: Literal["queued", "sent", "failed", "skipped"]
    """`skipped`: it was no longer true, or not wanted (NOTE-3)."""
    sent_at: datetime | None = None
