"""`availability.schedules.v1`: providers' schedules, time off and waitlists."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import Modality, Specialty
from makegood_contracts.reasons import Obstacle
from makegood_contracts.topics import SCHEDULES, Topic


class SessionType(msgspec.Struct, frozen=True, kw_only=True):
    """A session length that the provider offers, with its modalities."""

    length_minutes: int
    modalities: list[Modality]


class WeeklyHours(msgspec.Struct, frozen=True, kw_only=True):
    """Hours on a weekday (0 is Monday), in minutes after local midnight. `until` may be 1440."""

    weekday: int
    start: int
    until: int


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Hours on a day, in minutes after local midnight. `until` may be 1440."""

    start: int
    until: int


class DateHours(msgspec.Struct, frozen=True, kw_only=True):
    """The hours on a date, instead of those of its weekday. An empty list means closed."""

    day: date
    hours: tuple[Hours, ...]


class SchedulePublished(Event, frozen=True, kw_only=True):
    """The provider published a schedule, which replaces the previous one (AVAIL-1)."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_zone: str
    specialty: Specialty
    session_types: list[SessionType]
    minimum_notice_minutes: int
    horizon_days: int
    weekly: tuple[WeeklyHours, ...] = ()
    exceptions: tuple[DateHours, ...] = ()
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    slot_step_minutes: int = 15


class ScheduleWithdrawn(Event, frozen=True, kw_only=True):
    """The provider was erased and offers no more sessions (NOTE-5). A schedule published later is valid again."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int


class TimeOffAdded(Event, frozen=True, kw_only=True):
    """The provider takes time off. `cancels`: sessions during that time that the provider chose to cancel (AVAIL-1)."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    cancels: tuple[str, ...] = ()


class TimeOffRemoved(Event, frozen=True, kw_only=True):
    """The provider withdrew time off."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str


class WaitlistFact(Event, frozen=True, kw_only=True):
    """The fields of every waitlist event (AVAIL-6)."""

    topic: ClassVar[Topic] = SCHEDULES

    entry_id: str
    provider_id: str
    member_id: str
    room_id: str
    length_minutes: int
    modality: Modality


class WaitlistJoined(WaitlistFact, frozen=True, kw_only=True):
    """A member waits for a slot in [waits_from, waits_until)."""

    waits_from: datetime
    waits_until: datetime


class WaitlistCandidateProposed(WaitlistFact, frozen=True, kw_only=True):
    """A slot opened and is held for the first in line. Booking now checks whether that member could book it (AVAIL-6); the
    member is not told yet. Without an answer by `decide_by`, the next in line is proposed."""

    proposal_id: str
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    decide_by: datetime
    venue_id: str | None = None


class WaitlistCandidatePassedOver(WaitlistFact, frozen=True, kw_only=True):
    """The candidate is not offered the slot, and keeps their place in line.

    `reasons`: why they could not book it; empty if booking did not answer or the slot is gone. `tells_member`: the member is
    told, because the reasons differ from those they were told last.
    """

    proposal_id: str
    starts_at: datetime
    ends_at: datetime
    cause: Literal["refused", "unanswered", "withdrawn"]
    reasons: tuple[Obstacle, ...] = ()
    tells_member: bool = False


class WaitlistOffered(WaitlistFact, frozen=True, kw_only=True):
    """A slot opened and is held until `lapses_at` for the first in line who could book it. Booking it accepts the offer.

    `venue_id`: the venue that is held with an in-person session. `proposal_id`: the proposal that booking checked.
    """

    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    lapses_at: datetime
    venue_id: str | None = None
    proposal_id: str | None = None


class WaitlistEnded(WaitlistFact, frozen=True, kw_only=True):
    """The member no longer waits, and their offer, if any, has ended. `starts_at`: the start of the offered slot."""

    cause: Literal["booked", "lapsed", "left", "erased"]
    starts_at: datetime | None = None


class WaitlistOfferLapsed(WaitlistFact, frozen=True, kw_only=True):
    """The offer was not accepted in time. The next in line is considered."""

    starts_at: datetime
