"""Venues, where sessions take place in person, and the codes that they show to check people in (JOIN-3)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import MutationOf, UnversionedMutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import new_id

from makegood_availability.api.models import CheckInCodeView, VenueBody, VenueView
from makegood_availability.api.parameters import DependenciesOf
from makegood_availability.handlers import commands
from makegood_availability.store import venues
from makegood_availability.store.venues import VenueRow

router = APIRouter(tags=["venues"])


@router.post(
    "/v1/venues",
    status_code=201,
    response_model=VenueView,
    responses={201: {"description": "The new venue", "headers": LOCATION}, **problems("validation")},
)
async def create_venue(
    body: VenueBody,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: UnversionedMutation,
) -> Response:
    """Adds a venue."""
    venue = _row(new_id(), 1, body)
    async with mutation.unit() as unit:
        await commands.create_venue(unit, venue)
        return mutation.answer(201, _view(venue), version=1, location=f"/v1/venues/{venue.id}")


@router.put("/v1/venues/{venue_id}", response_model=VenueView, responses=problems("validation", "not-found"))
async def change_venue(
    venue_id: str,
    body: VenueBody,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: MutationOf,
) -> Response:
    """Replaces the venue's description and hours. Sessions that are already booked there are kept."""
    venue_id = valid_id(venue_id, "venue")
    async with mutation.unit() as unit:
        venue = await commands.change_venue(unit, _row(venue_id, 0, body), mutation.expect_version)
        return mutation.answer(200, _view(venue), version=venue.version)


@router.get("/v1/venues", response_model=Page[VenueView], responses=problems("validation"))
async def list_venues(
    access: Annotated[Access, Depends(operation("venues.read"))],
    dependencies: DependenciesOf,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Lists all venues, oldest first."""
    after = decode_cursor(cursor, Id)
    async with dependencies.database.reading() as queries:
        rows = await venues.list_venues(queries, None if after is None else after[0], limit + 1)
    items, following = page(rows, limit, _view, lambda venue: (venue.id,))
    return answer(200, Page[VenueView](items=items, next_cursor=following))


@router.get("/v1/venues/{venue_id}", response_model=VenueView, responses=problems("not-found"))
async def read_venue(
    venue_id: str, access: Annotated[Access, Depends(operation("venues.read"))], dependencies: DependenciesOf
) -> Response:
    """Reads a venue."""
    async with dependencies.database.reading() as queries:
        venue = await venues.find(queries, venue_id)
    if venue is None:
        raise not_found("venue")
    return answer(200, _view(venue), version=venue.version)


@router.post(
    "/v1/venues/{venue_id}/check-in-code",
    summary="Change the check-in code",
    response_model=CheckInCodeView,
    responses=problems("not-found"),
)
async def change_check_in_code(
    venue_id: str,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: MutationOf,
) -> Response:
    """Creates a new code. The previous code stops working at once, so replace the one that the venue shows."""
    venue_id = valid_id(venue_id, "venue")
    async with mutation.unit() as unit:
        venue, code = await commands.change_check_in_code(unit, venue_id, mutation.expect_version)
        return mutation.answer(200, CheckInCodeView(venue_id=venue.id, code=code), version=venue.version)


@router.get(
    "/v1/venues/{venue_id}/check-in-code",
    summary="Read the check-in code",
    response_model=CheckInCodeView,
    responses=problems("not-found"),
)
async def read_check_in_code(
    venue_id: str, access: Annotated[Access, Depends(operation("venues.code"))], dependencies: DependenciesOf
) -> Response:
    """Reads the code that is valid at the venue now. The answer is 404 until a code has been created."""
    async with dependencies.database.reading() as queries:
        found = await venues.read_code(queries, venue_id)
    if found is None:
        raise not_found("check-in code")
    return answer(200, CheckInCodeView(venue_id=venue_id, code=found[1]), version=found[0])


def _row(venue_id: str, version: int, body: VenueBody) -> VenueRow:
    weekly = None if body.weekly is None else [hours.model_dump(mode="json") for hours in body.weekly]
    return VenueRow(venue_id, version, body.name, body.place, body.time_zone, weekly)


def _view(venue: VenueRow) -> VenueView:
    return VenueView.model_validate(venue)
