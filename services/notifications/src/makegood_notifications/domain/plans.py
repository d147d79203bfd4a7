"""What a member's plan says about messages: the lengths in the ready message (AVAIL-5) and the channels of reminders
(REM-1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

TimeRequestRefusal = Literal["coverage-ended", "plan-excludes-live-sessions", "length-not-in-plan"]

DEFAULT_CHANNELS: Final = ("email",)
"""Channels of reminders if the member's plan is not known."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's coverage, both days inclusive, in days of `time_zone`."""

    starts_on: date
    ends_on: date | None
    time_zone: str
    plan_kind: str
    lengths: list[int]
    psychiatry_lengths: list[int]
    reminder_channels: list[str]

    def covers(self, moment: datetime) -> bool:
        """Whether it is in force at that moment."""
        day = moment.astimezone(ZoneInfo(self.time_zone)).date()
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)

    def lengths_with(self, specialty: str) -> list[int]:
        """The session lengths, in minutes, that it includes with a provider of that specialty (PLAN-1)."""
        return sorted(self.psychiatry_lengths if specialty == "psychiatry" else self.lengths)


def in_force(enrolments: Sequence[Enrolment], moment: datetime) -> Enrolment | None:
    """The enrolment that is in force. `enrolments` are sorted, latest first."""
    return next((one for one in enrolments if one.covers(moment)), None)


def ready_lengths(
    asked: int | None, enrolments: Sequence[Enrolment], specialty: str, now: datetime
) -> list[int] | TimeRequestRefusal:
    """AVAIL-5: the lengths that the ready message names, or why it is not sent. `enrolments` are sorted, latest first.

    If the member's plan is not known yet, the message names what was asked for, or no length.
    """
    if not enrolments:
        return [] if asked is None else [asked]
    plan = in_force(enrolments, now)
    if plan is None:
        return "coverage-ended"
    lengths = plan.lengths_with(specialty)
    if not lengths:
        return "plan-excludes-live-sessions"
    if asked is not None and asked not in lengths:
        return "length-not-in-plan"
    return lengths if asked is None else [asked]


def reminder_channels(enrolments: Sequence[Enrolment], moment: datetime) -> Sequence[str]:
    """By which channels the plan lets the provider remind the member of a session at that moment (REM-1)."""
    plan = in_force(enrolments, moment) or (enrolments[0] if enrolments else None)
    return plan.reminder_channels if plan else DEFAULT_CHANNELS
