"""A morning that is full, and three members who may wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from makegood_contracts.events import (
    Event,
    RoomOpened,
    SessionCancelled,
    SessionRequested,
    SessionReserved,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)

from .harness import NOW, AvailabilityHarness, all_codes, at, later, request

Client = Callable[[str, str], httpx.AsyncClient]
HOUR = timedelta(hours=1)
ANNA, BEN, CLEO = (f"01a00000-0000-7000-8000-00000000000{n}" for n in range(1, 4))
ROOMS = {"anna": ANNA, "ben": BEN, "cleo": CLEO}
WANTED: dict[str, Any] = {
    "from": at(9).isoformat(),
    "to": at(10).isoformat(),
    "length_minutes": 60,
    "modality": "video",
}


def opened(room_id: str, member: str, provider: str = "doc", version: int = 1) -> RoomOpened:
    return RoomOpened(room_id=room_id, member_id=member, provider_id=provider, room_version=version, opened_at=NOW)


def cancelled(of: SessionRequested) -> SessionCancelled:
    values = {"cancelled_by": "member", "cancelled_at": NOW, "forfeits": False, "was_confirmed": True}
    return later(SessionCancelled, of, **values)


async def full_morning(harness: AvailabilityHarness) -> SessionRequested:
    """Rooms of three members, and a day of one hour that somebody else has. Answers that booking."""
    await harness.receive(*(opened(room, member) for member, room in ROOMS.items()))
    await harness.publish(weekly=[{"day": "tuesday", "from": "09:00", "to": "10:00"}])
    taken = request(at(9), 60, member="zoe", hold_until=at(8))
    assert all_codes(await harness.ask(taken)) == [[]]
    await harness.receive(later(SessionReserved, taken, confirm_by=at(8)))
    return taken


async def join(client: Client, member: str, **changes: Any) -> dict[str, Any]:
    answer = await client("member", member).post(f"/v1/rooms/{ROOMS[member]}/waitlist", json={**WANTED, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def mine(client: Client, member: str) -> list[dict[str, Any]]:
    answer = await client("member", member).get(f"/v1/rooms/{ROOMS[member]}/waitlist")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def statuses(client: Client) -> list[tuple[str, int | None]]:
    return [(entry["status"], entry["position"]) for member in ROOMS for entry in await mine(client, member)]


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [
        (type(event).__name__.removeprefix("Waitlist"), event.member_id)
        for event in events
        if isinstance(event, WaitlistJoined | WaitlistOffered | WaitlistOfferLapsed | WaitlistEnded)
    ]


async def offered_to(client: Client, member: str) -> list[str]:
    query: dict[str, Any] = {
        "from": at(8).isoformat(),
        "to": at(17).isoformat(),
        "length_minutes": 60,
        "modality": "video",
    }
    answer = await client("member", member).get("/v1/providers/doc/slots", params=query)
    return [item["local_start"][-5:] for item in answer.json()["items"]]
