"""How a session ended: reported by the provider who is asked (JOIN-3), disputed by a party or corrected by support (MISS-5)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.models import RequestModel, example
from makegood_chassis.http.mutations import MutationOf
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import DisputeClaim, SessionOutcome
from pydantic import Field

from makegood_booking.api.models import SessionView
from makegood_booking.api.parameters import (
    DependenciesOf,
    SessionId,
    party_of,
    session_answer,
    session_answer_with_context,
)
from makegood_booking.domain.session import Session
from makegood_booking.handlers.commands import sessions as commands

router = APIRouter(tags=["sessions"])


class DisputeRequest(RequestModel):
    """Why the recorded outcome is wrong."""

    model_config = example(claim="i_was_there", note="My connection dropped after five minutes.")

    claim: DisputeClaim
    note: Annotated[
        str | None, Field(max_length=2000, description="A note for support. The other party never sees it.")
    ] = None


class CorrectionRequest(RequestModel):
    """How the session really ended."""

    model_config = example(outcome="completed", reason="Both were there: the media server's log shows it.")

    outcome: SessionOutcome
    reason: Annotated[
        str,
        Field(
            min_length=1, max_length=2000, description="Why it is corrected. Support and the two parties can read it."
        ),
    ]


class OutcomeRequest(RequestModel):
    """How the in-person session went."""

    model_config = example(outcome="completed")

    outcome: SessionOutcome


@router.post(
    "/v1/sessions/{session_id}/outcome",
    response_model=SessionView,
    responses=problems("not-found", "outcome-not-asked", "no-show-not-possible", "session-over"),
)
async def report_outcome(
    session_id: SessionId,
    body: OutcomeRequest,
    access: Annotated[Access, Depends(operation("session.outcome"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
) -> Response:
    """Reports how an in-person session went, as its provider, if nobody checked in to it.

    Providers are asked when the session ends. They have the policy's `answer_hours` to answer. Without an answer, the session
    counts as missed by the provider.
    """
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        admit = party_of(access, mutation)
        session = await commands.report_outcome(unit, dependencies, session_id, admit, body.outcome)
        return session_answer(mutation, 200, session)


@router.post(
    "/v1/sessions/{session_id}/dispute", response_model=SessionView, responses=problems("not-found", "no-outcome")
)
async def dispute_outcome(
    session_id: SessionId,
    body: DisputeRequest,
    access: Annotated[Access, Depends(operation("session.dispute"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
) -> Response:
    """Disputes how a session ended, as its member or provider. The outcome stays as recorded until support corrects it."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session = await commands.dispute(
            unit,
            dependencies,
            session_id,
            party_of(access, mutation),
            author=access.caller.subject,
            claim=body.claim,
            note=body.note,
        )
        return await session_answer_with_context(unit, dependencies, mutation, session)


@router.post(
    "/v1/sessions/{session_id}/correct",
    response_model=SessionView,
    responses=problems("not-found", "no-outcome", "conflict-of-interest"),
)
async def correct_outcome(
    session_id: SessionId,
    body: CorrectionRequest,
    access: Annotated[Access, Depends(operation("session.correct"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
) -> Response:
    """Corrects how a session ended, as support. The credit follows shortly, by new entries in the ledger."""
    session_id = valid_id(session_id, "session")

    def admit(session: Session) -> None:
        access.require("session", member_id=session.booked.member_id, provider_id=session.booked.provider_id)
        access.require_other(session.booked.member_id, session.booked.provider_id)
        mutation.expect_version(session.version)

    async with mutation.unit() as unit:
        session = await commands.correct(
            unit,
            dependencies,
            session_id,
            admit,
            author=access.caller.subject,
            outcome=body.outcome,
            reason=body.reason,
        )
        return session_answer(mutation, 200, session)
