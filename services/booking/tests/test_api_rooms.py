"""A room is opened for a pair and closed by its parties (ROOM-1)."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_testkit.service import names, slug

from .harness import BookingHarness


@pytest.mark.rule("ROOM-1")
async def test_a_room_is_opened_once_for_its_pair_and_closed_by_its_parties(harness: BookingHarness) -> None:
    body = {"member_id": "anna", "provider_id": "dr-lee"}
    await harness.works("dr-lee")
    opened = await harness.support.post("/v1/rooms", json=body)
    room = opened.json()
    matching = await harness.support.post("/v1/rooms", json=body, headers={"If-Match": "*"})
    assert (matching.status_code, slug(matching)) == (412, "version-mismatch")
    assert (opened.status_code, opened.headers["location"]) == (201, f"/v1/rooms/{room['id']}")
    assert (room["status"], room["version"], room["created_at"]) == ("active", 1, "2026-11-23T09:00:00Z")
    again = await harness.client("ops", "olga").post("/v1/rooms", json=body)
    assert (again.status_code, again.json()) == (200, room)
    assert names(await harness.outbox()) == ["RoomOpened"]
    for person in (harness.member, harness.provider):
        assert (await person.post("/v1/rooms", json=body)).status_code == 403
        assert (await person.get("/v1/rooms")).json() == {"items": [room], "next_cursor": None}
    path = f"/v1/rooms/{room['id']}/close"
    assert (await harness.client("member", "bea").post(path)).status_code == 404
    assert (await harness.client("ops", "olga").post(path)).status_code == 403
    closed = await harness.provider.post(path, headers={"If-Match": '"1"'})
    assert (closed.status_code, closed.json()["status"], closed.headers["etag"]) == (200, "closed", '"2"')
    assert (await harness.support.post(path)).json()["version"] == 2
    assert names(await harness.outbox()) == ["RoomClosed"]
    assert (await harness.support.post("/v1/rooms", json=body)).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"member_id": "anna"},
        {"member_id": "anna", "provider_id": "anna"},
        {"member_id": "", "provider_id": "dr-lee"},
        {"member_id": "a b", "provider_id": "dr-lee"},
        {"member_id": "x" * 129, "provider_id": "dr-lee"},
        {"member_id": "anna\n", "provider_id": "dr-lee"},
        {"member_id": "anna", "provider_id": "dr-lee", "name": "Anna"},
    ],
)
@pytest.mark.rule("ROOM-1")
async def test_a_bad_room_is_refused(harness: BookingHarness, body: Any) -> None:
    answer = await harness.support.post("/v1/rooms", json=body)
    assert (answer.status_code, slug(answer)) == (422, "validation")
