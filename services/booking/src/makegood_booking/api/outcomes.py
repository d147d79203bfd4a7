"""How a session ended: said by the provider who is asked (JOIN-3), or by somebody who says that it ended otherwise (MISS-5)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.models import RequestModel, example
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Claim, Outcome
from pydantic import Field

from makegood_booking.api.endings import locked, save
from makegood_booking.api.models import SessionView
from makegood_booking.api.parameters import (
    DependenciesOf,
    SessionId,
    allowed,
    session_answer,
    session_answer_with_context,
    valid_id,
)
from makegood_booking.domain.disputes import correct, dispute
from makegood_booking.domain.in_person import say_outcome
from makegood_booking.store.personal_data import keep_note

router = APIRouter(tags=["sessions"])


class DisputeRequest(RequestModel):
    """What the party says against the outcome."""

    model_config = example(claim="i_was_there", note="My connection broke after five minutes.")

    claim: Claim
    note: Annotated[str | None, Field(max_length=2000, description="For support; the other party never sees it.")] = (
        None
    )


class CorrectionRequest(RequestModel):
    """How the session ended, as support found."""

    model_config = example(outcome="completed", reason="Both were there: the media server's log shows it.")

    outcome: Outcome
    reason: Annotated[str, Field(min_length=1, max_length=2000, description="For support and the two parties.")]


class OutcomeRequest(RequestModel):
    """How the session in person went."""

    model_config = example(outcome="completed")

    outcome: Outcome


@router.post(
    "/v1/sessions/{session_id}/outcome",
    response_model=SessionView,
    responses=problems("not-found", "outcome-not-asked", "no-show-not-possible", "session-over"),
)
async def report_outcome(
    session_id: SessionId,
    body: OutcomeRequest,
    access: Annotated[Access, Depends(operation("session.outcome"))],
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
) -> Response:
    """The provider says how a session in person went, to which nobody had checked in (JOIN-3). They are asked at its end, and
    have until `answer_hours` of the policy after it; without an answer it counts as the provider's miss."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        session = await save(dependencies, say_outcome(session, body.outcome, unit.now), session, party, mutation, unit)
        return session_answer(mutation, 200, session)


@router.post(
    "/v1/sessions/{session_id}/dispute", response_model=SessionView, responses=problems("not-found", "no-outcome")
)
async def dispute_outcome(
    session_id: SessionId,
    body: DisputeRequest,
    access: Annotated[Access, Depends(operation("session.dispute"))],
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
) -> Response:
    """A party says that the session did not end as recorded (MISS-5). The outcome stays until support corrects it."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        session = await save(
            dependencies, dispute(session, party, body.claim, unit.now), session, party, mutation, unit
        )
        await keep_note(session, "dispute", access.caller.subject, party, body.note, unit)
        return await session_answer_with_context(dependencies, mutation, session, unit)


@router.post(
    "/v1/sessions/{session_id}/correct",
    response_model=SessionView,
    responses=problems("not-found", "no-outcome", "conflict-of-interest"),
)
async def correct_outcome(
    session_id: SessionId,
    body: CorrectionRequest,
    access: Annotated[Access, Depends(operation("session.correct"))],
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
) -> Response:
    """Support says how the session ended (MISS-5). The credit follows by new entries of the ledger, in a moment."""
    session_id = valid_id(session_id, "session")
    who = access.caller.subject
    async with mutation.unit() as unit:
        session = await dependencies.sessions.lock(session_id, unit)
        if session is None:
            raise not_found("session")
        access.require("session", member_id=session.booked.member_id, provider_id=session.booked.provider_id)
        access.require_other(session.booked.member_id, session.booked.provider_id)
        mutation.expect_version(session.version)
        changed = allowed(correct(session, body.outcome, who, unit.now), session, unit.now)
        if changed.session.status != session.status:
            await keep_note(changed.session, "correction", who, "support", body.reason, unit)
        if changed.events:
            await dependencies.sessions.save([(changed, mutation.cause)], unit)
        return session_answer(mutation, 200, changed.session)
