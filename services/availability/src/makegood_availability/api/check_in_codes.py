"""The code that a venue shows to those who come (JOIN-3): ops prints it, for example as a poster at the reception."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import View, example
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.check_in import digest, new_code
from makegood_contracts.events import VenueCodeChanged
from makegood_contracts.ids import is_id
from pydantic import Field

from makegood_availability.api.parameters import DependenciesOf
from makegood_availability.api.venues import locked_venue
from makegood_availability.store import venues

router = APIRouter(tags=["venues"])


class CheckInCodeView(View):
    """The code that the venue shows."""

    has_etag = True
    model_config = example(venue_id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11", code="7K3M-9QXT")

    venue_id: str
    code: Annotated[str, Field(description="Upper and lower case, spaces and hyphens make no difference.")]


@router.post("/v1/venues/{venue_id}/check-in-code", response_model=CheckInCodeView, responses=problems("not-found"))
async def change_check_in_code(
    venue_id: str,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: Annotated[Mutation, Depends(mutation())],
) -> Response:
    """Makes a new code. The one before it checks nobody in any more, so replace what the venue shows at once."""
    async with locked_venue(venue_id, mutation) as (venue, unit):
        code, version = new_code(), venue.version + 1
        await venues.set_code(unit, venue.id, version, code)
        told = VenueCodeChanged(venue_id=venue.id, venue_version=version, code_digest=digest(code, venue.id))
        unit.publish(told, sequence=version, cause=mutation.cause)
        return mutation.answer(200, CheckInCodeView(venue_id=venue.id, code=code), version=version)


@router.get("/v1/venues/{venue_id}/check-in-code", response_model=CheckInCodeView, responses=problems("not-found"))
async def read_check_in_code(
    venue_id: str, access: Annotated[Access, Depends(operation("venues.code"))], dependencies: DependenciesOf
) -> Response:
    """The code that the venue shows now; 404 until one was made."""
    if is_id(venue_id):
        async with dependencies.database.reading() as queries:
            found = await venues.read_code(queries, venue_id)
        if found is not None:
            return answer(200, CheckInCodeView(venue_id=venue_id, code=found[1]), version=found[0])
    raise not_found("check-in code")
