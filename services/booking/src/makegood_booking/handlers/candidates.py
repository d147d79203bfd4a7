"""Judges whether the next member on the waitlist could book a slot, by the rules of bookability alone (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import WaitlistCandidateJudged, WaitlistCandidateProposed
from makegood_contracts.events.possible import CLOCK_SKEW
from makegood_contracts.ids import is_id
from makegood_contracts.reasons import Obstacle, ReasonCode

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.bookability import Question
from makegood_booking.domain.remedies import remedies_of
from makegood_booking.handlers.bookability import BookabilityResult, judge_bookability, read_to_judge
from makegood_booking.handlers.read_models import on_waitlist

ONE_ANSWER: Final = 1
"""The sequence of the answer: a proposal has only one."""
DECIDED_ALREADY: Final[frozenset[ReasonCode]] = frozenset({"slot-not-offered", "slot-taken", "venue-taken"})
"""Availability holds the slot for the candidate, so it is free for them. Other requests for it are refused."""


async def on_candidate_proposed(
    batch: Sequence[Received[WaitlistCandidateProposed]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Judges each candidate, and stores what is held for it."""
    policy = await dependencies.policies.current(unit)
    for received in batch:
        event = received.event
        stored = None
        if is_id(event.room_id):
            stored = await read_to_judge(unit, event.room_id, policy, unit.now, event.starts_at)
        if stored is None or (stored.room.member_id, stored.room.provider_id) != (event.member_id, event.provider_id):
            unit.refuse(received.id, "not-its-parties")
            continue
        if event.decide_by + CLOCK_SKEW <= unit.now:
            continue  # nobody waits for the answer any more
        question = Question(event.starts_at, event.length_minutes, event.modality)
        found = await judge_bookability(unit, stored, policy, question, unit.now)
        unit.publish(_judged(event, found), sequence=ONE_ANSWER, cause=received.cause)
    await on_waitlist([received for received in batch if received.id not in unit.refused], unit)


def _judged(event: WaitlistCandidateProposed, found: BookabilityResult) -> WaitlistCandidateJudged:
    helps = [
        (reason, remedies_of(reason, found.remedy_context)[0])
        for reason in found.verdict.reasons
        if reason.code not in DECIDED_ALREADY
    ]
    return WaitlistCandidateJudged(
        proposal_id=event.proposal_id,
        entry_id=event.entry_id,
        room_id=event.room_id,
        member_id=event.member_id,
        provider_id=event.provider_id,
        starts_at=event.starts_at,
        reasons=tuple(
            Obstacle(code=reason.code, detail=reason.detail, action=what.action, href=what.href)
            for reason, what in helps
        ),
        next_starts_at=next((start for start in found.verdict.slots if start > event.starts_at), None)
        if helps
        else None,
    )
