"""Taking therapy up again: in the same room, or with another provider (ROOM-1 to ROOM-3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.models import Flag, RequestModel, example
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, Role, operation
from makegood_contracts.events import Actor
from makegood_contracts.ids import new_id
from pydantic import Field

from makegood_booking.api.bookability import at_room
from makegood_booking.api.models import Nothing, PersonId, RoomView
from makegood_booking.api.parameters import DependenciesOf, RoomId, session_policy, valid_id
from makegood_booking.api.providers import require_schedule, wait_for_schedule
from makegood_booking.api.reason_models import plain_remedy
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.attendance import as_of
from makegood_booking.domain.cancelling import forfeits_now
from makegood_booking.domain.remedies import remedies
from makegood_booking.domain.rooms import RestartRefusal, Room, close_room, leave_room, open_room, restart_room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.bookability import remedy_context_of
from makegood_booking.handlers.room_changes import LOOKS_AGAIN_AFTER, ROOM_LEFT, call_off_ahead
from makegood_booking.store import rooms

router = APIRouter(tags=["rooms"])

_WHY: Final[dict[RestartRefusal, str]] = {
    "eap": "No session of the employee assistance program is left; get more sessions first.",
    "provider-gone": "The provider is no longer available; be matched with a new one.",
    "another-room": "The two have another active room; book in that one.",
}


class ChangeProviderRequest(RequestModel):
    """With whom to go on."""

    model_config = example(provider_id="dr-kim")

    provider_id: PersonId
    accept_forfeit: Annotated[
        Flag,
        Field(
            description="The member accepts that sessions within the notice are lost, where this is not free; support says so for "
            "the member."
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
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Restarts therapy in a closed room, or for a member who was away for too long (ROOM-1, ROOM-2).

    A refusal's `reasons[].remedy` says what to do instead: `get_more_sessions` (EAP, and none is left), `match_new_provider` (the provider is
    no longer available), `use_active_room`. In a room that is active, of an active member, nothing changes.
    """
    room_id = valid_id(room_id, "room")
    async with mutation.unit() as unit:
        room = await rooms.lock_room(room_id, unit)
        if room is None:
            raise not_found("room")
        access.require("room", member_id=room.member_id, provider_id=room.provider_id)
        mutation.expect_version(room.version)
        policy = await dependencies.policies.current(unit)
        place = (await rooms.read_rooms([room_id], unit))[room_id]
        at = await remedy_context_of(at_room(room), unit.now, unit)
        outcome = restart_room(
            room,
            place.active_at,
            policy,
            unit.now,
            plan_kind=at.plan_kind,
            sessions_left=at.sessions_left,
            provider_available=at.provider_available,
            another_room=at.active_room_id is not None,
        )
        if not isinstance(outcome, str) and outcome[1] is not None and not await rooms.save_room(outcome[0], unit):
            outcome = "another-room"  # it was a moment faster
            at = await remedy_context_of(at, unit.now, unit)
        if isinstance(outcome, str):
            helps = [plain_remedy(each) for each in remedies("restart-not-allowed", at)]
            reason = {
                "code": "restart-not-allowed",
                "detail": _WHY[outcome],
                "remedy": helps[0],
                "remedies": helps,
            }
            raise Problem("restart-not-allowed", _WHY[outcome], reasons=[reason])
        room, restarted = outcome
        if restarted is not None:
            unit.publish(restarted, sequence=room.version)
        return mutation.answer(200, RoomView.of(room), version=room.version)


@router.post(
    "/v1/rooms/{room_id}/change-provider",
    status_code=201,
    response_model=RoomView,
    responses={
        200: {
            "model": RoomView,
            "description": "The member shares an active room with that provider already; this is it",
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
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
) -> Response:
    """The member goes on with another provider, who must have a schedule, in a room of its own (ROOM-3).

    The old room is closed, and what lies ahead in it is cancelled without loss. For sessions with less notice than their policy
    asks that is free once within `free_change_days`; after that the member must accept the forfeit, as with cancelling. It is the
    same where support does it for the member. Repeated, the answer is the same room, and nothing else changes.
    """
    room_id = valid_id(room_id, "room")
    async with dependencies.database.reading() as queries:  # what is refused anyway waits for nobody's schedule
        _judge_change(await rooms.read_room(room_id, queries), body.provider_id, access)
    await wait_for_schedule(body.provider_id, dependencies)
    async with mutation.unit() as unit:
        room, role = _judge_change(await rooms.lock_room(room_id, unit), body.provider_id, access)
        mutation.expect_version(room.version)
        await require_schedule(body.provider_id, unit)
        ahead = await dependencies.sessions.lock_ahead(room_id, room.member_id, unit)
        # Whoever asks for it, it is the member's change: support is no way round the notice (CANC-1).
        late = [session for session in ahead if forfeits_now(as_of(session, unit.now)[0], unit.now)]
        forfeited = await _forfeited(room, late, body.accept_forfeit, dependencies, unit) if late else frozenset()
        new, opened = open_room(new_id(), room.member_id, body.provider_id, unit.now)
        made = await rooms.add_room(new, unit)
        if made:
            unit.publish(opened, sequence=new.version)
        else:
            present = await rooms.active_room(room.member_id, body.provider_id, unit)
            if present is None:  # closed between the two statements
                raise Problem("unavailable", headers={"Retry-After": "1"})
            new = present
        was_open = room.status == "active"
        room, closed = close_room(room, unit.now, "support" if role == "ops" else role)
        if closed is not None:
            unit.publish(closed, sequence=room.version)
        if was_open or made:
            room, left = leave_room(room, new, unit.now)
            unit.publish(left, sequence=room.version)
            await rooms.save_room(room, unit)
        by: Actor = "member" if role == "member" else "system"
        await call_off_ahead(ahead, by, dependencies.sessions, dependencies.signals, unit, forfeited)
        unit.set_deadline(ROOM_LEFT, room.id, unit.now + LOOKS_AGAIN_AFTER)
        if role == "member":
            await rooms.touch_rooms([new.id], unit)
        if role != "member":
            access.note(new.member_id, new.provider_id, role=role, entity=f"room:{new.id}")
        path = f"/v1/rooms/{new.id}"
        return mutation.answer(201 if made else 200, RoomView.of(new), version=new.version, location=path)


def _judge_change(room: Room | None, provider_id: str, access: Access) -> tuple[Room, Role]:
    """The room, and as whom the caller leaves its provider for the other one."""
    if room is None:
        raise not_found("room")
    role = access.require("room", member_id=room.member_id, provider_id=room.provider_id)
    if provider_id in (room.provider_id, room.member_id):
        raise invalid("#/provider_id", "Another provider than the present one.")
    return room, role


async def _forfeited(
    room: Room, late: Sequence[Session], accepted: bool, dependencies: Dependencies, unit: UnitOfWork
) -> frozenset[str]:
    """ROOM-3: which sessions within the notice are forfeited: none once in a while, else all, if the member accepts that."""
    policy = await dependencies.policies.current(unit)
    if policy.change_is_free(await rooms.lock_changes(room.member_id, unit), unit.now):
        await rooms.mark_left_free(room.id, unit)
        return frozenset()
    if not accepted:
        named = [
            {
                "session_id": session.id,
                "starts_at": session.booked.starts_at,
                "ends_at": session.booked.ends_at,
            }
            for session in late
        ]
        detail = (
            "The provider was changed without loss not long ago. Sessions with less notice than the policy asks are "
            "forfeited this time; send `accept_forfeit: true`, or change later."
        )
        terms = session_policy(late[0], unit.now)
        raise Problem("forfeit-not-accepted", detail, policy=terms, sessions=named, session_count=len(named))
    return frozenset(session.id for session in late)
