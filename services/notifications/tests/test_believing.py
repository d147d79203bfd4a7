"""SEC-7: what nobody is told, however well it is signed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts import events as facts
from makegood_contracts.events.possible import CLOCK_SKEW

from .conftest import START, World

pytestmark = pytest.mark.rule("SEC-7")


async def told(world: World) -> list[Any]:
    return [tuple(row) for row in await world.rows("SELECT person_id, template FROM deliveries ORDER BY id")]


async def test_nobody_is_told_of_an_outcome_before_it_can_be(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    before = await told(world)
    lying = world.missed(starts_at=START - timedelta(days=9), ends_at=START - timedelta(days=9))
    for event in (
        msgspec.structs.replace(lying, missed_at=START - timedelta(days=8)),
        world.session(facts.MemberNoShow, marked_by="system"),
        world.session(facts.SessionCompleted),
        msgspec.structs.replace(world.missed(), missed_at=START - timedelta(days=4)),
    ):
        assert await world.refused(event) == {world.session_id: "before-its-time"}
    assert await told(world) == before
    assert [row[0] for row in await world.rows("SELECT status FROM sessions")] == ["confirmed"]
    world.clock.moment = START + timedelta(minutes=10) - CLOCK_SKEW
    assert await world.refused(msgspec.structs.replace(world.missed(), missed_at=START)) == {}
    assert len(await told(world)) > len(before)


async def test_nobody_is_told_of_other_peoples_sessions_rooms_and_credits(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    before = await told(world)
    world.clock.moment = START + timedelta(hours=1)
    room: dict[str, Any] = {
        "room_id": world.room_id,
        "member_id": "member-eve",
        "provider_id": world.provider,
        "room_version": 9,
    }
    charge: dict[str, Any] = {
        "invoice_id": world.room_id, "member_id": "member-eve", "session_id": world.session_id, "amount_minor": 5,
        "currency": "EUR", "due_on": START.date(),
    }  # fmt: skip
    for event in (
        msgspec.structs.replace(world.cancelled("provider"), member_id="member-eve"),
        msgspec.structs.replace(world.cancelled("provider"), provider_id="provider-eve"),
        world.returned(member_id="member-eve"),
        facts.InvoiceIssued(**charge),
        facts.RoomRestarted(**room, restarted_at=START),
        facts.ProviderChanged(**room, changed_at=START, new_room_id=world.session_id, new_provider_id="provider-eve"),
        facts.RoomClosed(**room, closed_at=START),
    ):
        assert list((await world.refused(event)).values()) == ["not-its-parties"], event
    assert await told(world) == before
    assert [tuple(row) for row in await world.rows("SELECT status, version FROM rooms")] == [("active", 1)]


async def test_only_the_member_forfeits(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    world.clock.moment = START
    assert await world.refused(world.cancelled("provider", forfeits=True)) == {world.session_id: "not-its-terms"}
