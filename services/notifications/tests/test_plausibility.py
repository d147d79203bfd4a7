"""SEC-7: nobody is told of events that cannot be true, even if their signatures are valid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts import events as facts
from makegood_contracts.events.possible import CLOCK_SKEW

from .conftest import START, NotificationsHarness

pytestmark = pytest.mark.rule("SEC-7")


async def told(harness: NotificationsHarness) -> list[Any]:
    return [tuple(row) for row in await harness.rows("SELECT person_id, template FROM deliveries ORDER BY id")]


async def test_nobody_is_told_of_an_outcome_before_it_can_be(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    before = await told(harness)
    lying = harness.missed(starts_at=START - timedelta(days=9), ends_at=START - timedelta(days=9))
    for event in (
        msgspec.structs.replace(lying, missed_at=START - timedelta(days=8)),
        harness.session(facts.MemberNoShow, marked_by="system"),
        harness.session(facts.SessionCompleted),
        msgspec.structs.replace(harness.missed(), missed_at=START - timedelta(days=4)),
    ):
        assert await harness.handle_now(event) == {harness.session_id: "before-its-time"}
    assert await told(harness) == before
    assert [row[0] for row in await harness.rows("SELECT status FROM sessions")] == ["confirmed"]
    harness.clock.moment = START + timedelta(minutes=10) - CLOCK_SKEW
    assert await harness.handle_now(msgspec.structs.replace(harness.missed(), missed_at=START)) == {}
    assert len(await told(harness)) > len(before)


async def test_nobody_is_told_of_other_peoples_sessions_rooms_and_credits(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    before = await told(harness)
    harness.clock.moment = START + timedelta(hours=1)
    room: dict[str, Any] = {
        "room_id": harness.room_id,
        "member_id": "member-eve",
        "provider_id": harness.provider,
        "room_version": 9,
    }
    charge: dict[str, Any] = {
        "invoice_id": harness.room_id, "member_id": "member-eve", "session_id": harness.session_id, "amount_minor": 5,
        "currency": "EUR", "due_on": START.date(),
    }  # fmt: skip
    for event in (
        msgspec.structs.replace(harness.cancelled("provider"), member_id="member-eve"),
        msgspec.structs.replace(harness.cancelled("provider"), provider_id="provider-eve"),
        harness.returned(member_id="member-eve"),
        facts.InvoiceIssued(**charge),
        facts.RoomRestarted(**room, restarted_at=START),
        facts.ProviderChanged(**room, changed_at=START, new_room_id=harness.session_id, new_provider_id="provider-eve"),
        facts.RoomClosed(**room, closed_at=START),
    ):
        assert list((await harness.handle_now(event)).values()) == ["not-its-parties"], event
    assert await told(harness) == before
    assert [tuple(row) for row in await harness.rows("SELECT status, version FROM rooms")] == [("active", 1)]


async def test_only_the_member_forfeits(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    harness.clock.moment = START
    assert await harness.handle_now(harness.cancelled("provider", forfeits=True)) == {
        harness.session_id: "not-its-terms"
    }
