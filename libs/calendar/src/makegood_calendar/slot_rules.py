"""Whether the schedule offers a session. Slot search, the availability check and the hold all use these rules, so they
agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_contracts.events import Modality, Specialty
from makegood_contracts.reasons import Reason

from makegood_calendar.hours import Hours, Span

IN_PERSON: Modality = "in_person"

Terms = Literal["member", "provider", "provider_moves"]
"""Whose terms a time must meet. Notice, grid and horizon protect the provider from others. For the `provider`, only
hours, time off and the kind of session count. `provider_moves`: the session is already booked, so its kind is settled
(RESC-2).
"""

_AS_FAR_AS_ANYBODY: Final = timedelta(days=3650)

NOT_PUBLISHED = Reason(code="slot-not-offered", detail="The provider has published no schedule.")
NOT_THIS_KIND = Reason(
    code="slot-not-offered", detail="The provider does not offer sessions of this length and modality."
)
NEEDS_VENUE = Reason(code="slot-not-offered", detail="An in-person session needs a venue.")
TAKES_NO_VENUE = Reason(code="slot-not-offered", detail="Only an in-person session can have a venue.")
TOO_SOON = Reason(code="slot-not-offered", detail="The provider requires more notice.")
TOO_FAR = Reason(code="slot-not-offered", detail="The provider does not accept bookings that far ahead.")
NO_SLOT = Reason(code="slot-not-offered", detail="None of the provider's slots starts at that time.")
OUTSIDE_HOURS = Reason(code="slot-not-offered", detail="The session would end after the provider's hours.")
NOT_WITHIN_HOURS = Reason(code="slot-not-offered", detail="The session would be outside the provider's hours.")
PASSED = Reason(code="slot-not-offered", detail="That time is in the past.")
TIME_OFF = Reason(code="slot-not-offered", detail="The provider has time off then.")
NO_VENUE = Reason(code="venue-taken", detail="No venue has this id.")
VENUE_CLOSED = Reason(code="venue-taken", detail="The venue is closed at that time.")
TOO_LATE = Reason(code="slot-not-offered", detail="The request took too long, so the slot could not be held.")


@dataclass(frozen=True)
class Schedule:
    """What a provider offers. Buffers before and after each session stay free, even outside the hours (AVAIL-1)."""

    hours: Hours
    step: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    minimum_notice: timedelta
    horizon: timedelta
    lengths: Mapping[int, frozenset[Modality]]
    """Length in minutes → the modalities in which it can take place."""
    specialty: Specialty = "therapy"

    def blocked(self, start: datetime, end: datetime) -> Span:
        """The provider's time that a session takes, including buffers.

        No two of these overlap, so two sessions are apart by the buffer after the first and the buffer before the second.
        """
        return start - self.buffer_before, end + self.buffer_after


@dataclass(frozen=True)
class Venue:
    """A place for sessions in person. Without hours it is always open."""

    hours: Hours | None = None


_OUT_OF_BOUNDS: Final = (TOO_SOON, TOO_FAR, PASSED)


class SlotRules:
    """When the provider offers one kind of session, at the moment `now` (AVAIL-1, AVAIL-2).

    `time_off` must hold what touches the sessions asked about. `venue` is None if `venue_id` names none.
    `extended_minutes` is the part of the length that an extension added (EXT-1); the provider must offer the rest.
    """

    __slots__ = ("_earliest", "_latest", "_terms", "_venue_hours", "kind_refusals", "length", "schedule", "time_off")

    def __init__(
        self,
        schedule: Schedule,
        time_off: Sequence[Span],
        venue: Venue | None,
        *,
        length_minutes: int,
        modality: Modality,
        venue_id: str | None,
        now: datetime,
        terms: Terms = "member",
        extended_minutes: int = 0,
    ) -> None:
        self.schedule = schedule
        self.length = timedelta(minutes=length_minutes)
        self.time_off = time_off
        self._venue_hours = venue.hours if venue is not None else None
        self._terms = terms
        self._earliest = now + schedule.minimum_notice if terms == "member" else now
        self._latest = now + (schedule.horizon if terms == "member" else _AS_FAR_AS_ANYBODY)
        refusals: list[Reason] = []
        if terms != "provider_moves" and modality not in schedule.lengths.get(length_minutes - extended_minutes, ()):
            refusals.append(NOT_THIS_KIND)
        if modality == IN_PERSON and venue_id is None:
            refusals.append(NEEDS_VENUE)
        elif modality != IN_PERSON and venue_id is not None:
            refusals.append(TAKES_NO_VENUE)
        elif venue_id is not None and venue is None:
            refusals.append(NO_VENUE)
        self.kind_refusals: tuple[Reason, ...] = tuple(refusals)
        """Why no moment can be offered at all. Empty if some can."""

    @property
    def bounds(self) -> Span:
        """The first and the last moment at which a session may start."""
        return self._earliest, self._latest

    def refusals(self, start: datetime) -> tuple[Reason, ...]:
        """AVAIL-1: why a session at `start` is not offered, one reason for each code. Empty if it is.

        Other sessions do not count: only the holds know whether the slot is free (AVAIL-3).
        """
        if not self.kind_refusals:
            return self._refusals_at(start)
        first: dict[str, Reason] = {}
        for reason in (*self.kind_refusals, *self._refusals_at(start)):
            first.setdefault(reason.code, reason)
        return tuple(first.values())

    def venue_is_open(self, start: datetime) -> bool:
        """Whether the venue is open for a session at `start`."""
        return self._venue_hours is None or self._venue_hours.covers(start, start + self.length)

    def venue_gaps(self, start: datetime, end: datetime) -> Iterable[Span]:
        """The open intervals around and within [start, end) in which no session can start in the venue."""
        return () if self._venue_hours is None else self._venue_hours.gaps(start, end, self.length)

    def _refusals_at(self, start: datetime) -> tuple[Reason, ...]:
        own = self._refusal(start)
        if own in _OUT_OF_BOUNDS or self.venue_is_open(start):
            return () if own is None else (own,)
        return (VENUE_CLOSED,) if own is None else (own, VENUE_CLOSED)

    def _refusal(self, start: datetime) -> Reason | None:
        # Notice and horizon come first: within them, arithmetic on instants cannot overflow.
        by_member = self._terms == "member"
        if start < self._earliest:
            return TOO_SOON if by_member else PASSED
        if start > self._latest:
            return TOO_FAR
        if by_member and not self.schedule.hours.starts(start, self.schedule.step):
            return NO_SLOT
        end = start + self.length
        if not self.schedule.hours.covers(start, end):
            return OUTSIDE_HOURS if by_member else NOT_WITHIN_HOURS
        for off_from, off_to in self.time_off:
            if off_from < end and start < off_to:
                return TIME_OFF
        return None
