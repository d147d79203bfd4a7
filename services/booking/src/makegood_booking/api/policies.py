"""Policies (BOOK-3)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.rights import Access, operation

from makegood_booking.api.models import PolicyView
from makegood_booking.api.parameters import PartsOf

router = APIRouter(tags=["policies"])


@router.get("/v1/policies/current", response_model=PolicyView)
async def current_policy(access: Annotated[Access, Depends(operation("policy.read"))], parts: PartsOf) -> Response:
    """The policy that a session booked now is under, and stays under."""
    async with parts.database.reading() as queries:
        policy = await parts.policies.current(queries)
    return answer(200, PolicyView.of(policy))
