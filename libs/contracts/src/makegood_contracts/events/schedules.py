"""`availability.schedules.v1`: what providers publish of their working time."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import Modality
from makegood_contracts.topics import SCHEDULES, Topic


class SessionType(msgspec.Struct, frozen=True, kw_only=True):
    """A length that the provider offers, and how."""

    length_minutes: int
    modalities: list[Modality]


class SchedulePublished(Event, frozen=True, kw_only=True):
    """The provider's schedule as it stands now; it replaces the one before (AVAIL-1)."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_zone: str
    specialty: Literal["therapy", "psychiatry"]
    session_types: list[SessionType]
    minimum_notice_minutes: int
    horizon_days: int


class TimeOffAdded(Event, frozen=True, kw_only=True):
    """The provider takes time off."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str


class TimeOffRemoved(Event, frozen=True, kw_only=True):
    """Time off was taken back."""

    topic: ClassVar[Topic] = SCHEDULES

    provider_id: str
    schedule_version: int
    time_off_id: str
