"""`availability.schedules.v1`: what providers publish of their working time."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import Modality, Specialty
from makegood_contracts.reasons import Obstacle
from makegood_contracts.topics import SCHEDULES, Topic


class SessionType(msgspec.Struct, frozen=True, kw_only=True):
    """A length that the provider offers, and how."""

    length_minutes: int
    modalities: list[Modality]


class WeeklyHours(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of hours of a weekday (0 is Monday), in minutes after local midnight; `until` may be 1440."""

    weekday: int
    start: int
    until: int


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of hours, in minutes after local midnight; `until` may be 1440."""

    start: int
    until: int


class DateHours(msgspec.Struct, frozen=True, kw_only=True):
    """A date's own hours in place of its weekday's; none: closed."""

    day: date
    hours: tuple[Hours, ...]


class SchedulePublished(Event, frozen=True, kw_only=True):
    """The provider's schedule as it stands now; it replaces the one before (AVAIL-1)."""

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
    """The provider offers nothing any more: they were erased (NOTE-5). A schedule that is published later counts again."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int


class TimeOffAdded(Event, frozen=True, kw_only=True):
    """The provider takes time off. `cancels`: the sessions inside it that the provider chose to give up (AVAIL-1)."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    cancels: tuple[str, ...] = ()


class TimeOffRemoved(Event, frozen=True, kw_only=True):
    """Time off was taken back."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str


class WaitlistFact(Event, frozen=True, kw_only=True):
    """What every event of a waitlist entry says (AVAIL-6)."""

    topic: ClassVar[Topic] = SCHEDULES

    entry_id: str
    provider_id: str
    member_id: str
    room_id: str
    length_minutes: int
    modality: Modality


class WaitlistJoined(WaitlistFact, frozen=True, kw_only=True):
    """A member waits for a time in [waits_from, waits_until)."""

    waits_from: datetime
    waits_until: datetime


class WaitlistCandidateProposed(WaitlistFact, frozen=True, kw_only=True):
    """A slot opened and is held for the first in line, whom nobody has told yet: booking judges whether they could book it
    (AVAIL-6). No answer by `decide_by` passes it on to the next."""

    proposal_id: str
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    decide_by: datetime
    venue_id: str | None = None


class WaitlistCandidatePassedOver(WaitlistFact, frozen=True, kw_only=True):
    """The candidate is not offered the slot and keeps their place in the line.

    `reasons`: why they could not book it; none where booking did not answer, or the slot went. `tells_member`: they are told,
    since these reasons are not those that they were told last.
    """

    proposal_id: str
    starts_at: datetime
    ends_at: datetime
    cause: Literal["refused", "unanswered", "withdrawn"]
    reasons: tuple[Obstacle, ...] = ()
    tells_member: bool = False


class WaitlistOffered(WaitlistFact, frozen=True, kw_only=True):
    """A slot opened and is held for the first in line who could book it, until `lapses_at`; accepted by booking it.

    `venue_id`: for a session in person, the venue that is held with it. `proposal_id`: that which booking judged.
    """

    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    lapses_at: datetime
    venue_id: str | None = None
    proposal_id: str | None = None


class WaitlistEnded(WaitlistFact, frozen=True, kw_only=True):
    """The member waits no more; an offer that was held for them is over. `starts_at`: of that offer."""

    cause: Literal["booked", "lapsed", "left", "erased"]
    starts_at: datetime | None = None


class WaitlistOfferLapsed(WaitlistFact, frozen=True, kw_only=True):
    """The offer was not taken in time, and goes to the next in line."""

    starts_at: datetime
