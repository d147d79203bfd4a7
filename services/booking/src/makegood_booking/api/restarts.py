"""Continuing therapy: in the same room, or with another provider (ROOM-1 to ROOM-3)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.models import Flag, RequestModel, example
from makegood_chassis.http.mutations import MutationOf
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.problems import valid_id
from makegood_chassis.http.rights import Access, operation
from pydantic import Field

from makegood_booking.api.models import Nothing, PersonId, RoomView
from makegood_booking.api.parameters import DependenciesOf, RoomId, actor_of
from makegood_booking.handlers.commands import rooms as commands

router = APIRouter(tags=["rooms"])


class ChangeProviderRequest(RequestModel):
    """The new provider."""

    model_config = example(provider_id="dr-kim")

    provider_id: PersonId
    accept_forfeit: Annotated[
        Flag,
        Field(
            description="The member accepts that sessions within the notice period are forfeited if the change is not free. Support "
            "confirms this on the member's behalf."
        ),
    ] = False


@router.post(
    "/v1/rooms/{room_id}/restart",
    operation_id="restart_room",
    response_model=RoomView,
    responses=problems("not-found", "restart-not-allowed"),
)
async def restart(
    room_id: RoomId,
    access: Annotated[Access, Depends(operation("room.restart"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Restarts therapy in a room that is closed, or whose member has been inactive for too long.

    If that is refused, `reasons[].remedy` says what to do instead: `get_more_sessions` (the EAP plan has no sessions left),
    `match_new_provider` (the provider is no longer available) or `use_active_room`. If the room and its member are active,
    nothing changes.
    """
    room_id = valid_id(room_id, "room")
    async with mutation.unit() as unit:
        room = await commands.restart_room(unit, dependencies, room_id, actor_of(access, mutation))
        return mutation.answer(200, RoomView.of(room), version=room.version)


@router.post(
    "/v1/rooms/{room_id}/change-provider",
    status_code=201,
    response_model=RoomView,
    responses={
        200: {
            "model": RoomView,
            "description": "The member already shares this active room with that provider",
            "headers": LOCATION,
        },
        201: {"description": "The new room", "headers": LOCATION},
        **problems("not-found", "provider-unavailable", "forfeit-not-accepted"),
    },
)
async def change_provider(
    room_id: RoomId,
    body: ChangeProviderRequest,
    access: Annotated[Access, Depends(operation("room.change-provider"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
) -> Response:
    """Moves the member to another provider, in a new room. The provider must have a schedule.

    The old room is closed, and its upcoming sessions are cancelled without loss. For sessions with less notice than their policy
    requires, this is free once in `free_change_days`. After that, the member must accept the forfeit, as for cancelling. The
    same rules apply if support makes the change. A repeated request returns the same room and changes nothing else.
    """
    room_id = valid_id(room_id, "room")
    await commands.await_new_provider(dependencies, room_id, body.provider_id, actor_of(access))
    async with mutation.unit() as unit:
        room, opened = await commands.change_provider(
            unit,
            dependencies,
            room_id,
            body.provider_id,
            actor_of(access, mutation),
            accepts_forfeit=body.accept_forfeit,
        )
        role = access.role_for(member_id=room.member_id)
        if role != "member":
            access.note(room.member_id, room.provider_id, role=role, entity=f"room:{room.id}")
        path = f"/v1/rooms/{room.id}"
        return mutation.answer(201 if opened else 200, RoomView.of(room), version=room.version, location=path)
