"""BOOK-7, BOOK-8: why can't I book? Every reason that applies, found as the services that decide would find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, cast

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import NOT_PUBLISHED, Schedule, SlotRules, Venue
from makegood_calendar.slots import Busy, free_starts, window
from makegood_contracts.events import Modality
from makegood_contracts.reasons import CreditReason, Reason

from makegood_booking.domain.coverage import CoveragePeriod, Enrolment, Lot, coverage_periods, next_credits
from makegood_booking.domain.money import Costs
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import PastBooking, RebookingContext, reopens
from makegood_booking.domain.rooms import Room, is_available, room_reasons

MOST_SLOTS: Final = 5
NOTHING_TOLD: Final = Reason(code="temporary-interruption", detail="We can't check this right now. Try again later.")
OWES: Final = Reason(code="outstanding-charges", detail="The member has an overdue invoice.")
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


@dataclass(frozen=True, slots=True)
class Kind:
    """What a session is of: its length and how it takes place."""

    length_minutes: int
    modality: Modality


NO_KIND: Final = Kind(0, "video")
"""Stands where neither plan nor provider has any, and nothing was asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: whether anything can be booked, or this start, length, modality."""

    starts_at: datetime | None = None
    length_minutes: int | None = None
    modality: Modality | None = None
    by: Literal["member", "provider", "support"] = "member"
    """Who would book."""


@dataclass(frozen=True, slots=True)
class MemberContext:
    """What booking knows of a room's two people."""

    room: Room
    active_at: datetime
    policy: Policy
    enrolments: Sequence[Enrolment] = ()
    lots: Sequence[Lot] = ()
    owes: bool = False
    schedule: Schedule | None = None
    another_room: bool = False
    """Whether the two share another room that is active."""
    rights: Sequence[PastBooking] = ()
    """What the provider missed in the room, and the member can still rebook (MISS-4)."""

    @property
    def psychiatry(self) -> bool:
        return self.schedule is not None and self.schedule.specialty == "psychiatry"

    def lengths(self, enrolment: Enrolment) -> Sequence[int]:
        """PLAN-1: the plan's lengths with this provider."""
        return enrolment.psychiatry_lengths if self.psychiatry else enrolment.lengths


@dataclass(frozen=True, slots=True)
class BookabilityVerdict:
    """The answer. `slots`: starts that can be booked now as `kind`; none while anything forbids it."""

    reasons: tuple[Reason, ...]
    kind: Kind | None = None
    slots: tuple[datetime, ...] = ()
    can_purchase: bool = False
    costs: Costs | None = None
    plan: Enrolment | None = None
    """That covers the member then; else the one that people speak of."""


@dataclass(slots=True)
class TakenTime:
    """What is taken in a window of time."""

    provider: Sequence[Span] = field(default_factory=list)
    time_off: Sequence[Span] = field(default_factory=list)
    member: Sequence[Span] = field(default_factory=list)


def in_the_way(context: MemberContext, kind: Kind, by: str, now: datetime) -> tuple[Reason, ...]:
    """BOOK-7, MISS-4: the reasons of the room, unless the member's booking opens it again."""
    reasons = room_reasons(context.room, context.active_at, context.policy, now)
    if not reasons or by != "member":
        return reasons
    place = RebookingContext(
        context.room,
        context.active_at,
        context.policy,
        is_available(context.schedule, now),
        another_room=context.another_room,
        rights=context.rights,
    )
    return () if reopens(place, kind.length_minutes, kind.modality) else reasons


def rebook_refused(session_id: str, context: MemberContext, now: datetime) -> RebookingRefusal | Literal["done"] | None:
    """BOOK-10, MISS-4: why the member cannot book again what the provider missed: as the booking would be refused. `done`: it
    was rebooked. None: for some time to come nothing forbids it, unless that time is taken."""
    right = next((each for each in context.rights if each.session_id == session_id), None)
    if right is None:
        return "done"
    kind = Kind(right.length_minutes, right.modality)
    room = in_the_way(context, kind, "member", now)
    if room:
        return cast("RebookingRefusal", room[0].code)
    bounds = startable(context, kind, now)
    if bounds is None or not is_available(context.schedule, now):
        return "slot-not-offered"
    if context.owes:
        return "outstanding-charges"
    if any(payable(context, kind, *bounds)):
        return None
    return cast("RebookingRefusal", pay_reasons(context, bounds[0], kind, now)[0].code)


def pay_reasons(context: MemberContext, starts_at: datetime, kind: Kind, now: datetime) -> tuple[Reason, ...]:
    """BOOK-4, BOOK-7: why nothing pays for a session of this kind then; as credits decides it. A credit that was made good
    pays for its length whatever the plan (MISS-4)."""
    reasons = [OWES] if context.owes else []
    if any(lot.makes_good(starts_at, kind.length_minutes) for lot in context.lots):
        return tuple(reasons)
    enrolment = plan_at(context, starts_at)
    if enrolment is None:
        detail = "The member has no coverage on the day of the session."
        return (*reasons, Reason(code="coverage-ended", detail=detail))
    if not enrolment.has_live_sessions:
        detail = "The member's plan has no live sessions."
        return (*reasons, Reason(code="plan-excludes-live-sessions", detail=detail))
    lengths = context.lengths(enrolment)
    fits = kind.length_minutes in lengths
    if not fits:
        listed = f"sessions of {', '.join(map(str, lengths))} minutes" if lengths else "no sessions with this provider"
        reasons.append(Reason(code="length-not-in-plan", detail=f"The plan includes {listed}."))
    if kind.modality not in enrolment.modalities:
        listed = ", ".join(enrolment.modalities)
        reasons.append(Reason(code="modality-not-in-plan", detail=f"The plan includes sessions by {listed}."))
    if not enrolment.co_pay and not any(
        lot.pays(starts_at, kind.length_minutes) if fits else lot.stands(starts_at) for lot in context.lots
    ):
        more = "; one can be bought" if enrolment.purchasable else ""
        detail = f"The member has no credit left for a session of this length on that day{more}."
        coming = next_credits(context.enrolments, starts_at, now)
        reasons.append(
            Reason(
                code="no-session-credits",
                detail=detail,
                available_from=coming.available_from if coming else None,
                credits=coming.credits if coming else None,
            )
        )
    return tuple(reasons)


def slot_reasons(
    context: MemberContext, starts_at: datetime, kind: Kind, taken: TakenTime, now: datetime
) -> tuple[Reason, ...]:
    """AVAIL-1, AVAIL-3: why the provider's time cannot be had then; as availability decides it. Venues are not looked at."""
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


def costs(context: MemberContext, starts_at: datetime, kind: Kind) -> Costs | None:
    """BOOK-3: what a session of this kind costs then: a credit, or the co-pay of the plan; None where no plan says."""
    if any(lot.makes_good(starts_at, kind.length_minutes) for lot in context.lots):
        return Costs(credit=1)
    enrolment = plan_at(context, starts_at)
    if enrolment is None or not enrolment.has_live_sessions:
        return None
    return Costs(amount=enrolment.co_pay_amount) if enrolment.co_pay else Costs(credit=1)


def plan_at(context: MemberContext, moment: datetime) -> Enrolment | None:
    """The enrolment that covers the member then."""
    return next((each.enrolment for each in coverage_periods(context.enrolments) if each.covers(moment)), None)


def coming(context: MemberContext, now: datetime) -> list[CoveragePeriod]:
    """The periods of coverage that are not over, and begin within what can be booked at all."""
    last = now + timedelta(days=context.policy.horizon_days)
    return [
        each
        for each in coverage_periods(context.enrolments)
        if each.covers_from <= last and (each.covers_until is None or each.covers_until > now)
    ]


def kinds_in_plan(context: MemberContext, asked: Question, now: datetime) -> list[Kind]:
    """The lengths and modalities that the member's plan includes, or that a credit made good pays for, of those asked about;
    in person last, for it needs a venue."""
    included = [
        Kind(length, modality)
        for period in coming(context, now)
        for length in context.lengths(period.enrolment)
        for modality in period.enrolment.modalities
    ]
    lengths = context.schedule.lengths if context.schedule is not None else {}
    made_good = [
        Kind(length, modality)
        for length in sorted(lengths)
        if any(lot.makes_good(now, length) for lot in context.lots)
        for modality in sorted(lengths[length])
    ]
    found = dict.fromkeys(
        kind
        for kind in (*included, *made_good)
        if asked.length_minutes in (None, kind.length_minutes) and asked.modality in (None, kind.modality)
    )
    return sorted(found, key=lambda kind: kind.modality == _IN_PERSON)


def offered(context: MemberContext, kind: Kind) -> bool:
    """Whether the provider offers sessions of this kind."""
    return context.schedule is not None and kind.modality in context.schedule.lengths.get(kind.length_minutes, ())


def kind_in_question(context: MemberContext, asked: Question, now: datetime) -> Kind | None:
    """What the reasons are about: as asked; else the first that the plan includes and the provider offers; else the plan's
    first, or the provider's. None where there is neither."""
    fitting = kinds_in_plan(context, asked, now)
    in_plan = kinds_in_plan(context, Question(), now)
    own = context.schedule.lengths if context.schedule is not None else {}
    provided = [Kind(length, modality) for length in sorted(own) for modality in sorted(own[length])]
    candidates = (*(kind for kind in fitting if offered(context, kind)), *fitting, *in_plan, *provided)
    chosen = next(iter(candidates), None)
    length = asked.length_minutes or (chosen.length_minutes if chosen else None)
    modality = asked.modality or (chosen.modality if chosen else None)
    return None if length is None or modality is None else Kind(length, modality)


def payable(context: MemberContext, kind: Kind, start: datetime, end: datetime) -> Iterator[Span]:
    """The spans within [start, end) in which the member's plan or a credit made good pays for sessions of this kind (BOOK-7,
    MISS-4), in order."""
    made_good = [lot for lot in context.lots if lot.makes_good(start, kind.length_minutes)]
    paid = list(_paid_by_plan(context, kind, start, end))
    if made_good:
        paid.append((start, min(end, max(lot.expires_at or end for lot in made_good))))
    until = start
    for span in sorted(paid):
        if max(until, span[0]) < span[1]:
            yield max(until, span[0]), span[1]
            until = span[1]


def _paid_by_plan(context: MemberContext, kind: Kind, start: datetime, end: datetime) -> Iterator[Span]:
    lasts: datetime | None = None
    fitting = [lot for lot in context.lots if lot.pays(start, kind.length_minutes)]
    if fitting and all(lot.expires_at is not None for lot in fitting):
        lasts = max(lot.expires_at for lot in fitting if lot.expires_at is not None)
    for period in coverage_periods(context.enrolments):
        enrolment = period.enrolment
        if kind.length_minutes not in context.lengths(enrolment) or kind.modality not in enrolment.modalities:
            continue
        if not enrolment.co_pay and not fitting:
            continue
        ends = [end]
        if period.covers_until is not None:
            ends.append(period.covers_until)
        if not enrolment.co_pay and lasts is not None:
            ends.append(lasts)
        span = max(start, period.covers_from), min(ends)
        if span[0] < span[1]:
            yield span


def startable(context: MemberContext, kind: Kind, now: datetime) -> Span | None:
    """Within which the provider's schedule lets a session of this kind start at all."""
    if context.schedule is None:
        return None
    soonest, latest = now + now.resolution, now + timedelta(days=context.policy.horizon_days)
    return window(_offer(context.schedule, kind, TakenTime(), now), soonest, latest)


def free(context: MemberContext, kind: Kind, within: Span, taken: TakenTime, now: datetime) -> Iterator[datetime]:
    """The starts within a span at which both are free, in order. `taken` must hold what touches the span."""
    if context.schedule is not None:
        yield from free_starts(_offer(context.schedule, kind, taken, now), within, Busy(taken.provider, taken.member))


def nothing_free(context: MemberContext, kind: Kind | None) -> Reason:
    """Why the provider has no slot for this member, whatever the plan pays."""
    if context.schedule is None or not context.schedule.lengths:
        return NO_HOURS
    if kind is None or not offered(context, kind):
        return NOT_OF_THE_PLAN
    return NO_TIME


def _offer(schedule: Schedule, kind: Kind, taken: TakenTime, now: datetime) -> SlotRules:
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
