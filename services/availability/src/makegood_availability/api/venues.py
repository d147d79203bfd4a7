"""Venues: physical rooms a session can take place in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import is_id, new_id

from makegood_availability.api.models import VenueBody, VenueView
from makegood_availability.api.parameters import DependenciesOf, check_cursor_id
from makegood_availability.handlers.venues import tell
from makegood_availability.handlers.waitlist import plan_look_in_person
from makegood_availability.store import venues
from makegood_availability.store.venues import VenueRow

router = APIRouter(tags=["venues"])


@asynccontextmanager
async def locked_venue(venue_id: str, mutation: Mutation) -> AsyncIterator[tuple[VenueRow, UnitOfWork]]:
    """The venue, locked in the change's unit; raises the 404 problem without it, 412 for another version than was asked for."""
    if not is_id(venue_id):
        raise not_found("venue")
    async with mutation.unit() as unit:
        venue = await venues.lock(unit, venue_id)
        if venue is None:
            raise not_found("venue")
        mutation.expect_version(venue.version)
        yield venue, unit


@router.post(
    "/v1/venues",
    status_code=201,
    response_model=VenueView,
    responses={201: {"description": "The new venue", "headers": LOCATION}, **problems("validation")},
)
async def create_venue(
    body: VenueBody,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
) -> Response:
    """A new venue."""
    venue = _row(new_id(), 1, body)
    async with mutation.unit() as unit:
        await venues.insert(unit, venue)
        await plan_look_in_person(unit)
        tell(venue, unit)
        return mutation.answer(201, _view(venue), version=1, location=f"/v1/venues/{venue.id}")


@router.put("/v1/venues/{venue_id}", response_model=VenueView, responses=problems("validation", "not-found"))
async def change_venue(
    venue_id: str,
    body: VenueBody,
    access: Annotated[Access, Depends(operation("venues.change"))],
    mutation: Annotated[Mutation, Depends(mutation())],
) -> Response:
    """Replaces what is known of the venue. Sessions that are booked in it stay."""
    async with locked_venue(venue_id, mutation) as (before, unit):
        venue = _row(before.id, before.version + 1, body)
        await venues.update(unit, venue)
        await plan_look_in_person(unit)
        tell(venue, unit)
        return mutation.answer(200, _view(venue), version=venue.version)


@router.get("/v1/venues", response_model=Page[VenueView], responses=problems("validation"))
async def list_venues(
    access: Annotated[Access, Depends(operation("venues.read"))],
    dependencies: DependenciesOf,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """All venues, in the order of their making."""
    after = decode_cursor(cursor, str)
    check_cursor_id(after)
    async with dependencies.database.reading() as queries:
        rows = await venues.list_venues(queries, None if after is None else after[0], limit + 1)
    items, following = page(rows, limit, _view, lambda venue: (venue.id,))
    return answer(200, Page[VenueView](items=items, next_cursor=following))


@router.get("/v1/venues/{venue_id}", response_model=VenueView, responses=problems("not-found"))
async def read_venue(
    venue_id: str, access: Annotated[Access, Depends(operation("venues.read"))], dependencies: DependenciesOf
) -> Response:
    """One venue."""
    if is_id(venue_id):
        async with dependencies.database.reading() as queries:
            venue = await venues.find(queries, venue_id)
        if venue is not None:
            return answer(200, _view(venue), version=venue.version)
    raise not_found("venue")


def _row(venue_id: str, version: int, body: VenueBody) -> VenueRow:
    weekly = None if body.weekly is None else [stretch.model_dump(mode="json") for stretch in body.weekly]
    return VenueRow(venue_id, version, body.name, body.place, body.time_zone, weekly)


def _view(venue: VenueRow) -> VenueView:
    return VenueView.model_validate(venue)
