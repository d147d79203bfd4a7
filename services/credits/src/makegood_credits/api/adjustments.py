"""/v1/members/{member_id}/adjustments: support gives or takes credits, large amounts with a second person (CRED-5)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import KeyedMutation, Mutation, UnversionedMutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, operation

from makegood_credits.api.adjustment_models import AdjustmentBody, AdjustmentView, ProposalView
from makegood_credits.api.models import LedgerItem, MemberId
from makegood_credits.api.parameters import DependenciesOf
from makegood_credits.domain.proposing import Decision, Proposal, ProposalStatus
from makegood_credits.handlers.commands import Adjustment, adjust_or_propose, decide_proposal, return_to_member
from makegood_credits.handlers.publishing import signed_amount
from makegood_credits.store import proposals

router = APIRouter(tags=["adjustments"])

ProposalId = Annotated[str, Path(max_length=64, examples=["019ab0c9-7a11-7c52-9b1d-3e5f2c4d6a70"])]
Status = Annotated[ProposalStatus | None, Query(description="Return only proposals with this status.")]


@router.post(
    "/v1/members/{member_id}/adjustments",
    summary="Adjust credits",
    status_code=201,
    response_model=AdjustmentView,
    responses={
        202: {
            "model": ProposalView,
            "description": "Over the limit for one person: a proposal that a second person must approve at `Location`",
            "headers": LOCATION,
        },
        **problems("no-session-credits", "credit-already-returned", "conflict-of-interest", "not-found", "validation"),
    },
)
async def adjust_credits(
    member_id: MemberId,
    body: AdjustmentBody,
    access: Annotated[Access, Depends(operation("adjustment.make"))],
    mutation: KeyedMutation,
    log: Log,
) -> Response:
    """Gives credits to a member or takes them away, as support. Who did it and why is recorded.

    An adjustment can't take more credits than the member has. With `session_id`, it returns what the session cost, at most
    once. A credit that is still held can't be returned this way: it is settled when the session ends.

    You can't adjust your own credits. If the amount, or the credits that you gave the member within a day, exceed the policy's
    `adjustment_limit`, the adjustment becomes a proposal (202) that a second person from support must approve.
    """
    made_by = access.caller.subject
    access.require_other(member_id)
    about = None if body.session_id is None else f"session:{body.session_id.lower()}"
    async with mutation.unit() as unit:
        if body.session_id is None:
            adjusted: Adjustment | Proposal = await adjust_or_propose(
                unit, member_id, body.amount, length_minutes=body.length_minutes, reason=body.reason, made_by=made_by
            )
        else:
            adjusted = await return_to_member(unit, member_id, body.session_id, reason=body.reason, made_by=made_by)
        await log.record(unit, access, None, member_id, entity=about)
        if isinstance(adjusted, Proposal):
            return mutation.answer(202, _view(adjusted), location=_path(adjusted), personal_of=member_id)
        return mutation.answer(201, _adjustment(adjusted), personal_of=member_id)


def _adjustment(adjustment: Adjustment) -> AdjustmentView:
    items = [
        LedgerItem(
            id=entry.id,
            kind=entry.kind,
            amount=signed_amount(entry.kind, entry.amount, entry.debit_account, entry.credit_account),
            lot_id=entry.lot_id,
            session_id=entry.session_id,
            reason=entry.reason,
            made_by=entry.made_by,
            made_at=entry.made_at,
            available_after=entry.available_after,
            held_after=entry.held_after,
        )
        for entry in adjustment.entries
    ]
    balance = adjustment.balance
    return AdjustmentView(available=balance.available, held=balance.held, entries=items, unusable=balance.unusable)


class ProposalList:
    """The parameters of a list of proposals, of one member or of all."""

    def __init__(
        self,
        access: Annotated[Access, Depends(operation("adjustment.read"))],
        dependencies: DependenciesOf,
        log: Log,
        status: Status = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> None:
        self._access, self._dependencies, self._log = access, dependencies, log
        self._status, self._limit, self._cursor = status, limit, cursor

    async def of(self, member_id: str | None) -> Page[ProposalView]:
        """A page of proposals, newest first: of one member, or of all if `member_id` is None."""
        position = decode_cursor(self._cursor, int)
        before = position[0] if position else None
        async with self._dependencies.database.reading() as queries:
            rows = await proposals.listed(queries, member_id, self._status, before, self._limit + 1)
            people = {proposal.member_id for _, proposal in rows[: self._limit]} | ({member_id} if member_id else set())
            await self._log.record(queries, self._access, None, *sorted(people))
        items, following = page(rows, self._limit, lambda row: _view(row[1]), lambda row: (row[0],))
        return Page(items=items, next_cursor=following)


Listed = Annotated[ProposalList, Depends()]


@router.get(
    "/v1/members/{member_id}/adjustment-proposals",
    summary="List a member's proposed adjustments",
    response_model=Page[ProposalView],
    responses=problems("validation"),
)
async def list_adjustment_proposals(member_id: MemberId, listed: Listed) -> Page[ProposalView]:
    """Lists a member's proposed adjustments, newest first, with who proposed and who decided them."""
    return await listed.of(member_id)


@router.get(
    "/v1/credits/adjustment-proposals",
    summary="List all proposed adjustments",
    response_model=Page[ProposalView],
    responses=problems("validation"),
)
async def list_all_adjustment_proposals(listed: Listed) -> Page[ProposalView]:
    """Lists the proposed adjustments of all members, newest first. With `status=proposed`, lists those that need a decision."""
    return await listed.of(None)


@router.get(
    "/v1/members/{member_id}/adjustment-proposals/{proposal_id}",
    summary="Read a proposed adjustment",
    response_model=ProposalView,
    responses=problems("not-found", "validation"),
)
async def read_adjustment_proposal(
    member_id: MemberId,
    proposal_id: ProposalId,
    access: Annotated[Access, Depends(operation("adjustment.read"))],
    dependencies: DependenciesOf,
    log: Log,
) -> ProposalView:
    """Reads a proposed adjustment and who decided it."""
    async with dependencies.database.reading() as queries:
        found = await proposals.one(queries, member_id, valid_id(proposal_id, "proposal"))
        if found is None:
            raise not_found("proposal")
        await log.record(queries, access, None, member_id, entity=f"adjustment-proposal:{found.id}")
    return _view(found)


@router.post(
    "/v1/members/{member_id}/adjustment-proposals/{proposal_id}/approve",
    summary="Approve a proposed adjustment",
    response_model=ProposalView,
    responses=problems("conflict-of-interest", "already-decided", "no-session-credits", "not-found"),
)
async def approve_adjustment(
    member_id: MemberId,
    proposal_id: ProposalId,
    access: Annotated[Access, Depends(operation("adjustment.decide"))],
    mutation: UnversionedMutation,
    log: Log,
) -> Response:
    """Approves a proposed adjustment and carries it out. You can't approve your own proposal, or one about your own credits."""
    return await _decide(member_id, proposal_id, "approved", access, mutation, log)


@router.post(
    "/v1/members/{member_id}/adjustment-proposals/{proposal_id}/reject",
    summary="Reject a proposed adjustment",
    response_model=ProposalView,
    responses=problems("conflict-of-interest", "already-decided", "not-found"),
)
async def reject_adjustment(
    member_id: MemberId,
    proposal_id: ProposalId,
    access: Annotated[Access, Depends(operation("adjustment.decide"))],
    mutation: UnversionedMutation,
    log: Log,
) -> Response:
    """Rejects a proposed adjustment. You can reject your own proposal to withdraw it."""
    return await _decide(member_id, proposal_id, "rejected", access, mutation, log)


async def _decide(
    member_id: str, proposal_id: str, decision: Decision, access: Access, mutation: Mutation, log: Log
) -> Response:
    proposal_id = valid_id(proposal_id, "proposal")

    def admit(proposal: Proposal) -> None:
        access.note(member_id, entity=f"adjustment-proposal:{proposal.id}")

    async with mutation.unit() as unit:
        decided = await decide_proposal(unit, member_id, proposal_id, decision, access.caller.subject, admit)
        await log.record(unit, access, None, member_id, entity=f"adjustment-proposal:{decided.id}")
        return mutation.answer(200, _view(decided), personal_of=member_id)


def _view(proposal: Proposal) -> ProposalView:
    return ProposalView.model_validate(proposal)


def _path(proposal: Proposal) -> str:
    return f"/v1/members/{proposal.member_id}/adjustment-proposals/{proposal.id}"
