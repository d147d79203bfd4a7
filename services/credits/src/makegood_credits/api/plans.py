"""GET /v1/plans."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, operation

from makegood_credits.api.models import PlanView
from makegood_credits.domain.plans import PLANS

router = APIRouter(tags=["plans"])


@router.get("/v1/plans", summary="List plans", response_model=Page[PlanView])
async def list_plans(
    access: Annotated[Access, Depends(operation("plan.list"))], limit: Limit = 50, cursor: Cursor = None
) -> Page[PlanView]:
    """Lists the plans of this installation and what each one covers."""
    position = decode_cursor(cursor, str)
    plans = sorted(PLANS.values(), key=lambda plan: plan.id)
    if position is not None:
        plans = [plan for plan in plans if plan.id > position[0]]
    items, following = page(
        plans[: limit + 1], limit, lambda plan: PlanView.model_validate(plan), lambda plan: (plan.id,)
    )
    return Page(items=items, next_cursor=following)
