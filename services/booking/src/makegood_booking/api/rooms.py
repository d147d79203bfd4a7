"""Rooms (ROOM-1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import MutationOf, UnversionedMutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem, invalid, not_found, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import answer_page

from makegood_booking.api.models import Nothing, RoomRequest, RoomView
from makegood_booking.api.parameters import DependenciesOf, RoomId, actor_of
from makegood_booking.domain.rooms import RoomStatus
from makegood_booking.handlers.commands import rooms as commands
from makegood_booking.store import rooms

router = APIRouter(tags=["rooms"])


@router.post(
    "/v1/rooms",
    operation_id="open_room",
    status_code=201,
    response_model=RoomView,
    responses={
        200: {
            "model": RoomView,
            "description": "The two already share this active room",
            "headers": LOCATION,
        },
        201: {"description": "The new room", "headers": LOCATION},
        **problems("provider-unavailable"),
    },
)
async def open_a_room(
    body: RoomRequest,
    access: Annotated[Access, Depends(operation("room.open"))],
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Opens a room for a member and a provider. Each pair has one active room: if there already is one, it is returned.

    The provider must have a schedule. If it was published a moment ago, the request waits for it to arrive.
    """
    if body.member_id == body.provider_id:
        raise invalid("#/provider_id", "Choose someone other than the member.")
    await commands.wait_for_schedule(dependencies, body.provider_id)
    async with mutation.unit() as unit:
        room, opened = await commands.open_room(unit, body.member_id, body.provider_id)
        access.note(room.member_id, room.provider_id, entity=f"room:{room.id}")
        location = f"/v1/rooms/{room.id}"
        return mutation.answer(201 if opened else 200, RoomView.of(room), version=room.version, location=location)


@router.get("/v1/rooms", response_model=Page[RoomView])
async def list_rooms(
    access: Annotated[Access, Depends(operation("room.list"))],
    dependencies: DependenciesOf,
    status: Annotated[RoomStatus | None, Query(description="Return only rooms with this status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists your rooms, oldest first. Support sees all rooms."""
    after = decode_cursor(cursor, str)
    if after is not None:
        after = (valid_cursor_id(after[0]),)
    who = {grant.role: access.caller.subject for grant in access.grants}
    everybody = "support" in who
    async with dependencies.database.reading() as queries:
        found = await rooms.list_rooms(
            queries,
            None if everybody else who.get("member"),
            None if everybody else who.get("provider"),
            status,
            after[0] if after else None,
            limit + 1,
        )
    items, following = page(found, limit, RoomView.of, lambda room: (room.id,))
    note_parties(access, ((room.member_id, room.provider_id) for room in found[:limit]))
    return answer_page(items, following)


def note_parties(access: Access, shown: Iterable[tuple[str, str]]) -> None:
    """Logs whose data a list shows, each person once (SEC-5): both parties for support, the members for a provider."""
    roles = {grant.role for grant in access.grants}
    if roles == {"member"}:
        return
    pairs = list(shown)
    members, providers = ({pair[place] for pair in pairs} for place in (0, 1))
    access.note(*sorted(members | providers if "support" in roles else members))


def valid_cursor_id(text: str) -> str:
    """The id in a cursor. Raises 422 if it is not an id, because the cursor is not ours then."""
    try:
        return valid_id(text, "page")
    except Problem as error:
        raise invalid("#/cursor", "Send `next_cursor` unchanged, to the same list.", where="query") from error


@router.get("/v1/rooms/{room_id}", response_model=RoomView, responses=problems("not-found"))
async def read_room(
    room_id: RoomId, access: Annotated[Access, Depends(operation("room.read"))], dependencies: DependenciesOf
) -> Response:
    """Reads a room, as one of its two parties or support."""
    async with dependencies.database.reading() as queries:
        room = await rooms.read_room(queries, valid_id(room_id, "room"))
    if room is None:
        raise not_found("room")
    access.require("room", member_id=room.member_id, provider_id=room.provider_id)
    return answer(200, RoomView.of(room), version=room.version, varies=True)


@router.post(
    "/v1/rooms/{room_id}/close", operation_id="close_room", response_model=RoomView, responses=problems("not-found")
)
async def close_a_room(
    room_id: RoomId,
    access: Annotated[Access, Depends(operation("room.close"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Closes a room to new bookings. Booked sessions are kept. Closing the room again has no effect."""
    room_id = valid_id(room_id, "room")
    async with mutation.unit() as unit:
        room = await commands.close_room(unit, room_id, actor_of(access, mutation))
        return mutation.answer(200, RoomView.of(room), version=room.version)
