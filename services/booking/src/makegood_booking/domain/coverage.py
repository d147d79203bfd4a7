"""What booking knows of members' plans and credits, learnt from the topics of credits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from makegood_contracts.events import Modality, PlanKind, Specialty

from makegood_booking.domain.time import zone


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's coverage by one plan (PLAN-1). Lengths are minutes; `live_credits` None: a co-pay is asked instead.

    `sequence` counts the member's enrolments: each ends the coverage of all earlier ones where it begins.
    """

    id: str
    member_id: str
    plan_id: str
    plan_kind: PlanKind
    starts_on: date
    ends_on: date | None
    time_zone: str
    lengths: Sequence[int]
    psychiatry_lengths: Sequence[int]
    modalities: Sequence[Modality]
    live_credits: int | None
    purchasable: bool
    sequence: int

    @property
    def covers_from(self) -> datetime:
        return _start_of_day(self.starts_on, self.time_zone)

    @property
    def agreed_until(self) -> datetime | None:
        """The first instant after the last day, whatever came after; None where no end was agreed."""
        return None if self.ends_on is None else _start_of_day(self.ends_on + timedelta(days=1), self.time_zone)

    @property
    def co_pay(self) -> bool:
        return self.live_credits is None

    @property
    def has_live_sessions(self) -> bool:
        return bool(self.lengths or self.psychiatry_lengths)

    def lengths_for(self, specialty: Specialty) -> Sequence[int]:
        """The lengths of sessions with a provider of this specialty: psychiatry has its own (PLAN-1)."""
        return self.psychiatry_lengths if specialty == "psychiatry" else self.lengths


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits that lapse together. `length_minutes` None: for each length of the plan."""

    id: str
    available: int
    length_minutes: int | None
    expires_at: datetime | None

    def pays(self, starts_at: datetime, length_minutes: int) -> bool:
        """CRED-2: whether a session of that length at that time can take a credit of this lot."""
        return self.stands(starts_at) and self.length_minutes in (None, length_minutes)

    def stands(self, starts_at: datetime) -> bool:
        return self.available > 0 and (self.expires_at is None or self.expires_at > starts_at)


@dataclass(frozen=True, slots=True)
class Stretch:
    """An enrolment and when it counts: [covers_from, covers_until), an open end where none is agreed."""

    enrolment: Enrolment
    covers_from: datetime
    covers_until: datetime | None

    def covers(self, moment: datetime) -> bool:
        return self.covers_from <= moment and (self.covers_until is None or moment < self.covers_until)


def stretches(enrolments: Collection[Enrolment]) -> list[Stretch]:
    """PLAN-1: when each enrolment of a member counts, in their order: until its agreed end, or a later one's beginning."""
    found = []
    for each in enrolments:
        ends = [later.covers_from for later in enrolments if later.sequence > each.sequence]
        if each.agreed_until is not None:
            ends.append(each.agreed_until)
        until = min(ends, default=None)
        if until is None or each.covers_from < until:
            found.append(Stretch(each, each.covers_from, until))
    return sorted(found, key=lambda stretch: stretch.covers_from)


def covering(enrolments: Collection[Enrolment], moment: datetime) -> Enrolment | None:
    """The enrolment of a member that covers an instant; at most one does."""
    return _covering(stretches(enrolments), moment)


def latest(enrolments: Collection[Enrolment], now: datetime) -> Enrolment | None:
    """The member's plan as people speak of it: the present one, else the last there was, else the first to come."""
    found = stretches(enrolments)
    begun = [stretch for stretch in found if stretch.covers_from <= now]
    return (begun[-1] if begun else found[0]).enrolment if found else None


def _covering(found: Iterable[Stretch], moment: datetime) -> Enrolment | None:
    return next((stretch.enrolment for stretch in found if stretch.covers(moment)), None)


def _start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a zone. A midnight that is skipped is read as RFC 5545 §3.3.5 says."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(time_zone)).astimezone(UTC)
