"""Rooms (ROOM-1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import new_id

from makegood_booking.api.models import Nothing, RoomRequest, RoomView
from makegood_booking.api.parameters import DependenciesOf, RoomId, valid_id
from makegood_booking.api.providers import require_schedule, wait_for_schedule
from makegood_booking.domain.rooms import RoomStatus, close_room, open_room
from makegood_booking.store import rooms

router = APIRouter(tags=["rooms"])


def _path(room_id: str) -> str:
    return f"/v1/rooms/{room_id}"


@router.post(
    "/v1/rooms",
    operation_id="open_room",
    status_code=201,
    response_model=RoomView,
    responses={
        200: {
            "model": RoomView,
            "description": "The two share an active room already; this is it",
            "headers": LOCATION,
        },
        201: {"description": "The new room", "headers": LOCATION},
        **problems("provider-unavailable"),
    },
)
async def open_a_room(
    body: RoomRequest,
    access: Annotated[Access, Depends(operation("room.open"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    dependencies: DependenciesOf,
) -> Response:
    """Opens the room of a member and a provider. A pair has one active room: asked again, the answer is that one.

    The provider must have a schedule. One that was published a moment ago is waited for.
    """
    if body.member_id == body.provider_id:
        raise invalid("#/provider_id", "Somebody else than the member.")
    await wait_for_schedule(body.provider_id, dependencies)
    async with mutation.unit() as unit:
        await require_schedule(body.provider_id, unit)
        room, opened = open_room(new_id(), body.member_id, body.provider_id, unit.now)
        if await rooms.add_room(room, unit):
            unit.publish(opened, sequence=room.version)
            access.note(room.member_id, room.provider_id, entity=f"room:{room.id}")
            return mutation.answer(201, RoomView.of(room), version=room.version, location=_path(room.id))
        present = await rooms.active_room(body.member_id, body.provider_id, unit)
        if present is None:  # closed between the two statements
            raise Problem("unavailable", headers={"Retry-After": "1"})
        access.note(present.member_id, present.provider_id, entity=f"room:{present.id}")
        return mutation.answer(200, RoomView.of(present), version=present.version, location=_path(present.id))


@router.get("/v1/rooms", response_model=Page[RoomView])
async def list_rooms(
    access: Annotated[Access, Depends(operation("room.list"))],
    dependencies: DependenciesOf,
    status: Annotated[RoomStatus | None, Query(description="Only rooms that are active, or closed.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The caller's rooms, for support everybody's, oldest first."""
    after = decode_cursor(cursor, str)
    if after is not None:
        after = (valid_cursor_id(after[0]),)
    who = {grant.role: access.caller.subject for grant in access.grants}
    everybody = "support" in who
    async with dependencies.database.reading() as queries:
        found = await rooms.list_rooms(
            None if everybody else who.get("member"),
            None if everybody else who.get("provider"),
            status,
            after[0] if after else None,
            limit + 1,
            queries,
        )
    items, following = page(found, limit, RoomView.of, lambda room: (room.id,))
    note_parties(access, ((room.member_id, room.provider_id) for room in found[:limit]))
    return answer(200, Page[RoomView](items=items, next_cursor=following))


def note_parties(access: Access, shown: Iterable[tuple[str, str]]) -> None:
    """Notes whose things a list shows (SEC-5), each person once: support sees both parties', a provider the members'."""
    roles = {grant.role for grant in access.grants}
    if roles == {"member"}:
        return
    pairs = list(shown)
    members, providers = ({pair[place] for pair in pairs} for place in (0, 1))
    access.note(*sorted(members | providers if "support" in roles else members))


def valid_cursor_id(text: str) -> str:
    """The id out of a cursor; 422 where it is none, since the cursor is not ours then."""
    try:
        return valid_id(text, "page")
    except Problem as error:
        raise invalid("#/cursor", "Send `next_cursor` as it came, on the same list.", where="query") from error


@router.get("/v1/rooms/{room_id}", response_model=RoomView, responses=problems("not-found"))
async def read_room(
    room_id: RoomId, access: Annotated[Access, Depends(operation("room.read"))], dependencies: DependenciesOf
) -> Response:
    """One room, for its two parties and support."""
    async with dependencies.database.reading() as queries:
        room = await rooms.read_room(valid_id(room_id, "room"), queries)
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
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Closes the room to new bookings. Sessions that stand are kept. Closing it again changes nothing."""
    room_id = valid_id(room_id, "room")
    async with mutation.unit() as unit:
        room = await rooms.lock_room(room_id, unit)
        if room is None:
            raise not_found("room")
        role = access.require("room", member_id=room.member_id, provider_id=room.provider_id)
        mutation.expect_version(room.version)
        room, closed = close_room(room, unit.now, "support" if role == "ops" else role)
        if closed is not None:
            await rooms.save_room(room, unit)
            unit.publish(closed, sequence=room.version)
        if role == "member":  # ROOM-2: any change of theirs
            await rooms.touch_rooms([room.id], unit)
        return mutation.answer(200, RoomView.of(room), version=room.version)
