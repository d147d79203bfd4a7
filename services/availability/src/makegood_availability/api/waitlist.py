"""The waitlist of a room: a member waits for a time of the provider's (AVAIL-6)."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import is_id, new_id
from makegood_contracts.reasons import Obstacle

from makegood_availability.api.models import ObstacleRemedyView, ObstacleView, OfferView, WaitlistBody, WaitlistView
from makegood_availability.api.parameters import DependenciesOf, check_cursor_id
from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.waitlist import Entry, kind_offered
from makegood_availability.store import rooms, waitlist
from makegood_availability.store.rooms import Room
from makegood_availability.store.waitlist import Listed

router = APIRouter(tags=["waitlist"])

NEWS_LAG: Final = 1.0
"""Seconds that a wish waits for the news of a room that was opened or restarted just now."""
_LOOKS_EVERY: Final = 0.05
_JUST_NOW: Final = 30.0


@router.post(
    "/v1/rooms/{room_id}/waitlist",
    status_code=201,
    response_model=WaitlistView,
    responses={
        200: {"model": WaitlistView, "description": "The same wish stands already"},
        **problems("validation", "not-found", "room-closed", "slot-not-offered", "waitlist-full"),
    },
)
async def join_waitlist(
    room_id: str,
    body: WaitlistBody,
    access: Annotated[Access, Depends(operation("waitlist.join"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    dependencies: DependenciesOf,
) -> Response:
    """Waits for a time of the provider's. Where one is free already, the offer follows in a moment.

    Only who could book a slot is offered it: coverage, credits, room and whatever else bookability looks at are judged first.
    Who could not keeps their place, and `reasons` says why. An offer is held for two hours, or as long as its slot can be
    booked, in person with a venue; it is accepted by booking that slot. The same wish again is answered with the entry that
    stands. At most five wishes of a room are open at once.
    """
    await _room_to_be_open(dependencies, room_id)
    async with mutation.unit() as unit:
        # News that the room is closed waits for the entry, and then ends it.
        room = _visible(await rooms.find(unit, room_id, keep=True), access)
        if not room.active:
            raise Problem("room-closed")
        if body.to <= unit.now:
            raise invalid("#/to", "That time is in the past.")
        wish = Entry(
            new_id(),
            room.room_id,
            room.provider_id,
            room.member_id,
            body.from_,
            body.to,
            body.length_minutes,
            body.modality,
            "waiting",
        )
        schedule = (await dependencies.schedules.load(unit, [room.provider_id])).get(room.provider_id)
        if schedule is not None and not kind_offered(wish, schedule, unit.now):
            raise Problem("slot-not-offered", "The provider does not offer sessions of this length and modality.")
        entry = await dependencies.line.join(wish, unit)
        if entry == "full":
            raise Problem("waitlist-full")
        (listed,) = await waitlist.list_of_room(unit, room.room_id, None, 1, only=entry.id)
        return mutation.answer(201 if entry is wish else 200, _view(listed))


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
    """What the room's member waits for, and what came of it, in the order of its making."""
    after = decode_cursor(cursor, str)
    check_cursor_id(after)
    async with dependencies.database.reading() as queries:
        room = _visible(await rooms.find(queries, room_id), access)
        rows = await waitlist.list_of_room(queries, room.room_id, None if after is None else after[0], limit + 1)
    items, following = page(rows, limit, _view, lambda listed: (listed.entry.id,))
    return answer(200, Page[WaitlistView](items=items, next_cursor=following))


@router.delete("/v1/rooms/{room_id}/waitlist/{entry_id}", status_code=204, responses=problems("not-found"))
async def leave_waitlist(
    room_id: str,
    entry_id: str,
    access: Annotated[Access, Depends(operation("waitlist.leave"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    dependencies: DependenciesOf,
) -> Response:
    """Waits no more; an offer passes on to the next in line."""
    async with mutation.unit() as unit:
        room = _visible(await rooms.find(unit, room_id), access)
        entries = await waitlist.by_ids(unit, [entry_id]) if is_id(entry_id) else []
        if [entry.room_id for entry in entries] != [room.room_id]:
            raise not_found("entry")
        await dependencies.line.leave(entries, unit)
        return mutation.answer(204)


async def _room_to_be_open(dependencies: Dependencies, room_id: str) -> None:
    """Comes back once the room is heard to be open, and anyway after a moment (ROOM-1)."""
    end = time.monotonic() + NEWS_LAG
    while True:
        async with dependencies.database.reading() as queries:
            room = await rooms.find(queries, room_id)
        awaited = _made_just_now(room_id) if room is None else not room.active
        if not awaited or time.monotonic() >= end:
            return
        await asyncio.sleep(_LOOKS_EVERY)


def _made_just_now(room_id: str) -> bool:
    """Whether the moment in a UUIDv7 is near (real time, and clocks of machines differ a little)."""
    made = UUID(room_id) if is_id(room_id) else None
    return made is not None and made.version == 7 and abs((made.int >> 80) / 1000 - time.time()) < _JUST_NOW


def _visible(room: Room | None, access: Access) -> Room:
    if room is None:
        raise not_found("room")
    access.require("room", member_id=room.member_id, provider_id=room.provider_id)
    return room


def _view(listed: Listed) -> WaitlistView:
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
