"""/v1/members/{member_id}: credits, ledger and enrolment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import MutationOf
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import answer_page, row_struct_of, struct_of

from makegood_credits.api.models import (
    CreditsView,
    EnrolmentBody,
    EnrolmentView,
    LedgerItem,
    LotView,
    MemberId,
    NextCreditsView,
    UnusableView,
)
from makegood_credits.api.parameters import DependenciesOf
from makegood_credits.domain.balance import Unusable
from makegood_credits.domain.book import Lot
from makegood_credits.domain.enrolling import EnrolmentRequest
from makegood_credits.domain.plans import PLANS
from makegood_credits.handlers.commands import enrol_member
from makegood_credits.handlers.publishing import signed_amount
from makegood_credits.store import reads
from makegood_credits.store.personal_data import open_reasons

router = APIRouter(tags=["credits"])

_Credits: Final = struct_of(CreditsView)
_Lot: Final = struct_of(LotView)
_Unusable: Final = struct_of(UnusableView)
_NextCredits: Final = struct_of(NextCreditsView)
_LedgerItem: Final = row_struct_of(LedgerItem)


@router.get(
    "/v1/members/{member_id}/credits",
    summary="Read credits",
    response_model=CreditsView,
    responses=problems("not-found", "validation"),
)
async def read_credits(
    member_id: MemberId,
    access: Annotated[Access, Depends(operation("credits.read"))],
    dependencies: DependenciesOf,
    log: Log,
) -> Response:
    """Reads a member's credits: what is available and held, when it expires, what can't be used at the moment and why, and when
    the plan grants credits next."""
    role = access.require("member", member_id=member_id)
    async with dependencies.database.reading() as queries:
        balance = await reads.balance(queries, member_id, dependencies.clock.now())
        await log.record(queries, access, role, member_id)
    granted = balance.next_credits
    view = _Credits(
        available=balance.available,
        held=balance.held,
        lots=[_lot(lot, why) for lot, why in balance.lots],
        unusable=balance.unusable,
        next_credits=_NextCredits(available_from=granted.available_from, credits=granted.credits) if granted else None,
    )
    return answer(200, view)


@router.get(
    "/v1/members/{member_id}/ledger",
    summary="List ledger entries",
    response_model=Page[LedgerItem],
    responses=problems("not-found", "validation"),
)
async def list_ledger(
    member_id: MemberId,
    access: Annotated[Access, Depends(operation("ledger.read"))],
    dependencies: DependenciesOf,
    log: Log,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists the movements of a member's credits, newest first. Each entry says why it was made and by whom."""
    role = access.require("member", member_id=member_id)
    position = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        rows = await reads.entries_of(queries, member_id, position[0] if position else None, limit + 1)
        await log.record(queries, access, role, member_id)
        reasons = await open_reasons(queries, [row["written"] for row in rows if row["written"] is not None])
    items, following = page(rows, limit, lambda row: _item(row, reasons), lambda row: (row["number"],))
    return answer_page(items, following)


@router.put(
    "/v1/members/{member_id}/enrolment",
    operation_id="enrol_member",
    summary="Enrol in a plan",
    response_model=EnrolmentView,
    responses=problems("plan-unknown", "conflict-of-interest", "validation"),
)
async def put_enrolment(
    member_id: MemberId,
    body: EnrolmentBody,
    access: Annotated[Access, Depends(operation("enrolment.set"))],
    mutation: MutationOf,
    log: Log,
) -> Response:
    """Enrols a member in a plan. The new coverage replaces the member's earlier enrolment.

    The credits of the current period are granted at once, those of later periods at their start. Past periods grant none.
    Unused credits of the earlier plan expire when the new coverage begins; held credits stay held.

    Repeating the request changes nothing. The same plan and `starts_on` with another `ends_on` changes the end of the
    enrolment. A plan that is resumed on the day it was replaced continues as it was, including the credits that expired then:
    send its original `starts_on`, or that day. Without `time_zone`, it keeps its own.
    """
    access.require_other(member_id)
    if body.plan_id not in PLANS:
        raise Problem("plan-unknown")
    time_zone = body.time_zone if "time_zone" in body.model_fields_set else None
    request = EnrolmentRequest(body.plan_id, body.starts_on, body.ends_on, time_zone)
    async with mutation.unit() as unit:
        enrolled, version = await enrol_member(unit, member_id, request, mutation.expect_version)
        await log.record(unit, access, None, member_id, entity=f"enrolment:{enrolled.enrolment.id}")
        return mutation.answer(200, EnrolmentView.model_validate(enrolled.enrolment), version=version)


def _lot(lot: Lot, why: Unusable | None) -> LotView:
    return _Lot(
        id=lot.id,
        source=lot.source,
        length_minutes=lot.length_minutes,
        granted=lot.granted,
        available=lot.available if why is None else 0,
        held=lot.held,
        expires_at=lot.expires_at,
        made_for_minutes=lot.made_for_minutes,
        unusable=None if why is None else _Unusable(credits=lot.available, code=why.code, detail=why.detail),
    )


def _item(row: Any, reasons: Mapping[str, str]) -> LedgerItem:
    id_, kind, amount, lot_id, session_id, reason, *rest, debit_account, credit_account, _, _ = row
    signed = signed_amount(kind, amount, debit_account, credit_account)
    return _LedgerItem(id_, kind, signed, lot_id, session_id, reasons.get(id_, reason), *rest)
