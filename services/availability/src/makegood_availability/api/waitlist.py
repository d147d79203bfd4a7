"""The waitlist of a room: its member waits for a time with the provider (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import UnversionedMutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.reasons import Obstacle

from makegood_availability.api.models import ObstacleRemedyView, ObstacleView, OfferView, WaitlistBody, WaitlistView
from makegood_availability.api.parameters import DependenciesOf
from makegood_availability.handlers import commands
from makegood_availability.store import rooms, waitlist
from makegood_availability.store.rooms import Room
from makegood_availability.store.waitlist import ListedEntry

router = APIRouter(tags=["waitlist"])


@router.post(
    "/v1/rooms/{room_id}/waitlist",
    status_code=201,
    response_model=WaitlistView,
    responses={
        200: {"model": WaitlistView, "description": "The room already waits for the same time and kind"},
        **problems("validation", "not-found", "room-closed", "slot-not-offered", "waitlist-full"),
    },
)
async def join_waitlist(
    room_id: str,
    body: WaitlistBody,
    access: Annotated[Access, Depends(operation("waitlist.join"))],
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Waits for a time with the room's provider. If one is already free, the offer follows in a moment.

    A slot is offered only to a member who could book it: coverage, credits, room and everything else that bookability
    checks are checked first. A member who could not book keeps their place, and `reasons` says why.

    An offer is held as long as the policy says, but no longer than its slot can be booked. For an in-person session, a
    venue is held too. To accept it, book the slot. If you ask again for the same time and kind, the answer is the open
    entry. A room can have five open entries.
    """
    wanted = {
        "waits_from": body.from_,
        "waits_until": body.to,
        "length_minutes": body.length_minutes,
        "modality": body.modality,
    }
    await commands.wait_for_room(dependencies, room_id)
    async with mutation.unit() as unit:
        listed, is_new = await commands.join_waitlist(unit, dependencies, room_id, wanted, admits(access))
        return mutation.answer(201 if is_new else 200, _view(listed))


@router.get(
    "/v1/rooms/{room_id}/waitlist", response_model=Page[WaitlistView], responses=problems("validation", "not-found")
)
async def list_waitlist(
    room_id: str,
    access: Annotated[Access, Depends(operation("waitlist.read"))],
    dependencies: DependenciesOf,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Lists what the room's member is waiting for, and what came of it, oldest first."""
    after = decode_cursor(cursor, Id)
    async with dependencies.database.reading() as queries:
        room = await rooms.find(queries, room_id)
        if room is None:
            raise not_found("room")
        admits(access)(room)
        rows = await waitlist.list_of_room(queries, room_id, None if after is None else after[0], limit + 1)
    items, following = page(rows, limit, _view, lambda listed: (listed.entry.id,))
    return answer(200, Page[WaitlistView](items=items, next_cursor=following))


@router.delete("/v1/rooms/{room_id}/waitlist/{entry_id}", status_code=204, responses=problems("not-found"))
async def leave_waitlist(
    room_id: str,
    entry_id: str,
    access: Annotated[Access, Depends(operation("waitlist.leave"))],
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Stops waiting. An open offer goes to the next member in line."""
    async with mutation.unit() as unit:
        await commands.leave_waitlist(unit, dependencies, room_id, entry_id, admits(access))
        return mutation.answer(204)


def admits(access: Access) -> Callable[[Room], None]:
    """Raises unless the caller has a right to the room."""

    def admit(room: Room) -> None:
        access.require("room", member_id=room.member_id, provider_id=room.provider_id)

    return admit


def _view(listed: ListedEntry) -> WaitlistView:
    entry = listed.entry
    return WaitlistView(
        id=entry.id,
        room_id=entry.room_id,
        from_=entry.waits_from,
        to=entry.waits_until,
        length_minutes=entry.length_minutes,
        modality=entry.modality,
        status=entry.status,
        position=listed.position,
        offer=OfferView.model_validate(entry.offer) if entry.offer is not None and entry.status == "offered" else None,
        reasons=[_obstacle(each) for each in entry.obstacles] if entry.status == "waiting" else [],
    )


def _obstacle(each: Obstacle) -> ObstacleView:
    remedy = ObstacleRemedyView(action=each.action, href=each.href)
    return ObstacleView(code=each.code, detail=each.detail, remedy=remedy)
