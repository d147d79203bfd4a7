"""BOOK-7: why can't I book? Lists every reason that applies, judged as the deciding services would judge (BOOK-8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, cast

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, Schedule, SlotRules, Venue
from makegood_calendar.slots import Busy, free_starts, window
from makegood_contracts.events import Modality, Specialty
from makegood_contracts.reasons import CreditReason, Reason
from makegood_plans.coverage import CoveragePeriod, covering
from makegood_plans.funding import SessionTerms, fund, funded_spans, made_good_for
from makegood_plans.plans import Costs
from makegood_plans.published import PublishedLot

from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import PastBooking, RebookingContext, reopens
from makegood_booking.domain.rooms import Room, is_available, room_reasons

MOST_SLOTS: Final = 5
NOTHING_TOLD: Final = Reason(code="temporary-interruption", detail="We can't check this right now. Try again later.")
SLOT_TAKEN: Final = Reason(code="slot-taken", detail="Another session, or the buffer around it, overlaps that time.")
MEMBER_BUSY: Final = Reason(code="member-busy", detail="The member is not available at that time.")
NO_HOURS: Final = Reason(code="provider-unavailable", detail="The provider has published no hours.")
NOT_OF_THE_PLAN: Final = Reason(
    code="provider-unavailable",
    detail="The provider offers no sessions of a length and modality that the plan includes.",
)
NO_TIME: Final = Reason(code="provider-unavailable", detail="The provider has no free time of that length.")
_IN_PERSON: Final = "in_person"
_SOME_VENUE: Final = "some"
RebookingRefusal = Literal["room-closed", "room-inactive", "slot-not-offered", CreditReason]
_ORDER: Final = ("slot-not-offered", "slot-taken", "member-busy")


class SessionKind(NamedTuple):
    """The kind of a session: its length and modality."""

    length_minutes: int
    modality: Modality


NO_KIND: Final = SessionKind(0, "video")
"""Used if neither plan nor provider has any kind, and the question names none."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: whether anything can be booked, or whether this start, length and modality can."""

    starts_at: datetime | None = None
    length_minutes: int | None = None
    modality: Modality | None = None
    by: Literal["member", "provider", "support"] = "member"
    """The role that would book."""


@dataclass(frozen=True, slots=True)
class MemberContext:
    """What booking knows about a room's two people."""

    room: Room
    active_at: datetime
    policy: Policy
    coverage: Sequence[CoveragePeriod] = ()
    lots: Sequence[PublishedLot] = ()
    owes: bool = False
    schedule: Schedule | None = None
    another_room: bool = False
    """Whether the two share another room that is active."""
    rights: Sequence[PastBooking] = ()
    """The sessions that the provider missed in the room and the member can still rebook (MISS-4)."""

    @property
    def specialty(self) -> Specialty:
        """The provider's specialty. If no schedule is known, it is the one that credits assumes."""
        return "therapy" if self.schedule is None else self.schedule.specialty

    def session(self, starts_at: datetime, kind: SessionKind) -> SessionTerms:
        """A session of these two, as far as payment is concerned."""
        return SessionTerms(
            starts_at=starts_at, length_minutes=kind.length_minutes, modality=kind.modality, specialty=self.specialty
        )

    def made_good(self, starts_at: datetime, kind: SessionKind) -> bool:
        """Whether the member has a credit that pays for such a session at that time, whatever the plan is (MISS-4)."""
        session = self.session(starts_at, kind)
        return any(lot.available and made_good_for(lot, session) for lot in self.lots)


@dataclass(frozen=True, slots=True)
class BookabilityVerdict:
    """The answer. `slots`: starts that can be booked now as `kind`; none if anything forbids it."""

    reasons: tuple[Reason, ...]
    kind: SessionKind | None = None
    slots: tuple[datetime, ...] = ()
    can_purchase: bool = False
    costs: Costs | None = None
    coverage: CoveragePeriod | None = None
    """The plan that covers the member then."""


@dataclass(frozen=True, slots=True)
class TakenTime:
    """What is taken within a window: the provider's time with buffers, time off, and the member's time."""

    provider: Sequence[Span] = field(default_factory=list)
    time_off: Sequence[Span] = field(default_factory=list)
    member: Sequence[Span] = field(default_factory=list)


def in_the_way(context: MemberContext, kind: SessionKind, by: str, now: datetime) -> tuple[Reason, ...]:
    """The room's reasons against a booking, unless the member's booking opens the room again (BOOK-7, MISS-4)."""
    reasons = room_reasons(context.room, context.active_at, context.policy, now)
    if not reasons or by != "member":
        return reasons
    place = RebookingContext(
        context.room,
        is_available(context.schedule, now),
        another_room=context.another_room,
        rights=context.rights,
    )
    return () if reopens(place, kind.length_minutes, kind.modality) else reasons


def rebook_refused(session_id: str, context: MemberContext, now: datetime) -> RebookingRefusal | Literal["done"] | None:
    """Why the member cannot rebook what the provider missed (BOOK-10, MISS-4), as the booking would be refused. `done`:
    it was rebooked. None: at some future time nothing forbids it, unless that time is taken.
    """
    right = next((each for each in context.rights if each.session_id == session_id), None)
    if right is None:
        return "done"
    kind = SessionKind(right.length_minutes, right.modality)
    room = in_the_way(context, kind, "member", now)
    if room:
        return cast("RebookingRefusal", room[0].code)
    bounds = startable(context, kind, now)
    if bounds is None or not is_available(context.schedule, now):
        return "slot-not-offered"
    if any(payable(context, kind, *bounds)):
        return "outstanding-charges" if context.owes else None
    return cast("RebookingRefusal", pay_reasons(context, bounds[0], kind, now)[0].code)


def pay_reasons(context: MemberContext, starts_at: datetime, kind: SessionKind, now: datetime) -> tuple[Reason, ...]:
    """Why nothing pays for a session of this kind at that time, as credits decides it (BOOK-4, BOOK-7)."""
    session = context.session(starts_at, kind)
    return fund(session, context.coverage, context.lots, now, overdue=context.owes).reasons


def slot_reasons(
    context: MemberContext, starts_at: datetime, kind: SessionKind, taken: TakenTime, now: datetime
) -> tuple[Reason, ...]:
    """Why the provider's time is not available, as availability decides it (AVAIL-1, AVAIL-3). Venues are not
    checked."""
    start, end = starts_at, starts_at + timedelta(minutes=kind.length_minutes)
    reasons: list[Reason] = []
    blocked = start, end
    if context.schedule is None:
        reasons.append(NOT_PUBLISHED)
    else:
        reasons.extend(_offer(context.schedule, kind, taken, now).refusals(start))
        blocked = context.schedule.blocked(start, end)
    if _meets(blocked, taken.provider):
        reasons.append(SLOT_TAKEN)
    if _meets((start, end), taken.member):
        reasons.append(MEMBER_BUSY)
    return tuple(sorted(reasons, key=lambda reason: _ORDER.index(reason.code)))


def costs(context: MemberContext, starts_at: datetime, kind: SessionKind) -> Costs | None:
    """BOOK-3: what a session of this kind costs at that time: a credit, or the plan's co-pay. None if no plan says
    so."""
    if context.made_good(starts_at, kind):
        return Costs(credit=1)
    covered_by = covering(context.coverage, starts_at)
    return None if covered_by is None else covered_by.plan.costs


def coming(context: MemberContext, now: datetime) -> list[CoveragePeriod]:
    """The periods of coverage that are not over and begin within the time that can be booked."""
    last = now + timedelta(days=context.policy.horizon_days)
    return [
        each
        for each in context.coverage
        if each.covers_from <= last and (each.covers_until is None or each.covers_until > now)
    ]


def kinds_in_plan(context: MemberContext, asked: Question, now: datetime) -> list[SessionKind]:
    """The kinds asked about that the member's plan includes, or that a made-good credit pays for.

    In-person kinds come last, because they need a venue.
    """
    included = [
        SessionKind(length, modality)
        for period in coming(context, now)
        for length in period.plan.lengths_of(context.specialty)
        for modality in period.plan.modalities
    ]
    lengths = context.schedule.lengths if context.schedule is not None else {}
    made_good = [
        kind
        for length in sorted(lengths)
        for modality in sorted(lengths[length])
        if context.made_good(now, kind := SessionKind(length, modality))
    ]
    found = dict.fromkeys(
        kind
        for kind in (*included, *made_good)
        if asked.length_minutes in (None, kind.length_minutes) and asked.modality in (None, kind.modality)
    )
    return sorted(found, key=lambda kind: kind.modality == _IN_PERSON)


def offered(context: MemberContext, kind: SessionKind) -> bool:
    """Whether the provider offers sessions of this kind."""
    return context.schedule is not None and kind.modality in context.schedule.lengths.get(kind.length_minutes, ())


def kind_in_question(context: MemberContext, asked: Question, now: datetime) -> SessionKind | None:
    """The kind that the reasons are about.

    It is the one asked about; else the first that the plan includes and the provider offers; else the plan's first, or
    the provider's. None if there is neither.
    """
    fitting = kinds_in_plan(context, asked, now)
    in_plan = kinds_in_plan(context, Question(), now)
    own = context.schedule.lengths if context.schedule is not None else {}
    provided = [SessionKind(length, modality) for length in sorted(own) for modality in sorted(own[length])]
    candidates = (*(kind for kind in fitting if offered(context, kind)), *fitting, *in_plan, *provided)
    chosen = next(iter(candidates), None)
    length = asked.length_minutes or (chosen.length_minutes if chosen else None)
    modality = asked.modality or (chosen.modality if chosen else None)
    return None if length is None or modality is None else SessionKind(length, modality)


def payable(context: MemberContext, kind: SessionKind, start: datetime, end: datetime) -> Iterator[Span]:
    """The spans within [start, end) in which the plan, or a made-good credit, pays for this kind (BOOK-7).

    They are in order. A made-good credit pays whatever the plan is (MISS-4).
    """
    return funded_spans(context.session(start, kind), end, context.coverage, context.lots)


def startable(context: MemberContext, kind: SessionKind, now: datetime) -> Span | None:
    """The spans in which the provider's schedule lets a session of this kind start."""
    if context.schedule is None:
        return None
    soonest, latest = now + now.resolution, now + timedelta(days=context.policy.horizon_days)
    return window(_offer(context.schedule, kind, TakenTime(), now), soonest, latest)


def free(
    context: MemberContext, kind: SessionKind, within: Span, taken: TakenTime, now: datetime
) -> Iterator[datetime]:
    """The starts within a span at which both are free, in order. `taken` must hold everything that touches the span."""
    if context.schedule is not None:
        yield from free_starts(_offer(context.schedule, kind, taken, now), within, Busy(taken.provider, taken.member))


def nothing_free(context: MemberContext, kind: SessionKind | None) -> Reason:
    """Why the provider has no slot for this member, whatever the plan pays for."""
    if context.schedule is None or not context.schedule.lengths:
        return NO_HOURS
    if kind is None or not offered(context, kind):
        return NOT_OF_THE_PLAN
    return NO_TIME


def _offer(schedule: Schedule, kind: SessionKind, taken: TakenTime, now: datetime) -> SlotRules:
    in_person = kind.modality == _IN_PERSON
    return SlotRules(
        schedule,
        taken.time_off,
        Venue() if in_person else None,
        length_minutes=kind.length_minutes,
        modality=kind.modality,
        venue_id=_SOME_VENUE if in_person else None,
        now=now,
    )


def _meets(span: Span, others: Sequence[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
