"""SEC-7: availability refuses booking's events that cannot be true, even if their signatures are valid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts.events import (
    Event,
    MemberNoShow,
    ProviderMissed,
    RoomClosed,
    RoomOpened,
    SessionCancelled,
    SessionCompleted,
    SlotReleased,
)
from makegood_contracts.events.possible import CLOCK_SKEW
from makegood_contracts.ids import new_id
from makegood_testkit.databases import as_owner
from makegood_testkit.service import CAUSE, received

from .harness import MINUTE, NOW, AvailabilityHarness, at, later, move, request

pytestmark = pytest.mark.rule("SEC-7")
MISSED: dict[str, Any] = {"absent_party": "provider", "missed_at": NOW, "grace_minutes": 10}
CANCELLED: dict[str, Any] = {"cancelled_by": "member", "cancelled_at": NOW, "forfeits": False, "was_confirmed": True}


async def refused(harness: AvailabilityHarness, *events: Event) -> list[str]:
    """Why the events are refused, in their order."""
    batch = [received(event) for event in events]
    async with harness.database.transaction(CAUSE) as unit:
        await harness.service.events[type(events[0])](batch, unit)
    return [unit.refused.get(one.id, "") for one in batch]


async def held(harness: AvailabilityHarness) -> Any:
    await harness.publish()
    wanted = request(at(10))
    await harness.ask(wanted)
    return wanted


async def live(harness: AvailabilityHarness) -> Any:
    return await harness.value("SELECT count(*) FROM slot_holds WHERE live")


@pytest.mark.parametrize(
    ("kind", "values", "after"),
    [
        (ProviderMissed, MISSED, 10 * MINUTE),
        (MemberNoShow, {"marked_by": "system"}, MINUTE),
        (SessionCompleted, {}, 30 * MINUTE),
    ],
)
async def test_an_outcome_before_it_can_be_is_refused(
    harness: AvailabilityHarness, kind: type[Event], values: dict[str, Any], after: timedelta
) -> None:
    wanted = await held(harness)
    told = later(kind, wanted, **values)
    lying = msgspec.structs.replace(told, starts_at=NOW - timedelta(days=1), ends_at=NOW - timedelta(hours=23))
    assert await refused(harness, told) == await refused(harness, lying) == ["before-its-time"]
    harness.clock.moment = wanted.starts_at + after - CLOCK_SKEW - timedelta(seconds=1)
    assert await refused(harness, told) == ["before-its-time"]
    assert await live(harness) == 1
    harness.clock.moment = wanted.starts_at + after - CLOCK_SKEW
    assert await refused(harness, told) == [""]
    assert await live(harness) == 0


async def test_nobody_releases_the_slot_of_other_parties(harness: AvailabilityHarness) -> None:
    wanted = await held(harness)
    harness.clock.moment = wanted.ends_at
    for change in ({"member_id": "other"}, {"provider_id": "other"}):
        told = msgspec.structs.replace(later(SessionCancelled, wanted, **CANCELLED), **change)
        assert await refused(harness, told) == ["not-its-parties"]
        assert await refused(harness, msgspec.structs.replace(move(wanted, at(12)), **change)) == ["not-its-parties"]
    assert await live(harness) == 1


async def test_only_the_member_forfeits_and_nothing_happened_tomorrow(harness: AvailabilityHarness) -> None:
    wanted = await held(harness)
    forfeits = {**CANCELLED, "cancelled_by": "provider", "forfeits": True}
    assert await refused(harness, later(SessionCancelled, wanted, **forfeits)) == ["not-its-terms"]
    tomorrow = {**CANCELLED, "cancelled_at": NOW + timedelta(days=1)}
    assert await refused(harness, later(SessionCancelled, wanted, **tomorrow)) == ["before-its-time"]
    assert await live(harness) == 1


async def test_a_hold_that_was_just_moved_is_given_back_by_the_end_of_its_session_at_the_old_time(
    harness: AvailabilityHarness,
) -> None:
    """RESC-1: booking can end the session before it hears that the slot was swapped."""
    wanted = await held(harness)
    await harness.receive(move(wanted, at(12)))
    harness.clock.moment = wanted.starts_at + 10 * MINUTE
    missed = later(ProviderMissed, wanted, **{**MISSED, "missed_at": harness.clock.moment})
    moved_at = await harness.value("SELECT decided_at FROM slot_moves")
    assert harness.clock.moment - moved_at > timedelta(hours=1)
    assert await refused(harness, missed) == ["before-its-time"], "long after the move booking has heard of it"
    async with as_owner(harness.database.url) as owner:
        await owner.execute("UPDATE slot_moves SET decided_at = $1", harness.clock.moment - MINUTE)
    [released] = await harness.receive(missed)
    assert isinstance(released, SlotReleased)


async def test_one_that_is_refused_spoils_none_of_its_batch(harness: AvailabilityHarness) -> None:
    await harness.publish()
    first, second = request(at(10)), request(at(11), member="b")
    await harness.ask(first, second)
    told = [later(SessionCancelled, one, **CANCELLED) for one in (first, second)]
    assert await refused(harness, msgspec.structs.replace(told[0], member_id="other"), told[1]) == [
        "not-its-parties",
        "",
    ]
    assert await live(harness) == 1


async def test_a_room_keeps_its_parties(harness: AvailabilityHarness) -> None:
    room = new_id()
    opened = RoomOpened(room_id=room, member_id="anna", provider_id="doc", room_version=1, opened_at=NOW)
    closed = RoomClosed(room_id=room, member_id="other", provider_id="doc", room_version=2, closed_at=NOW)
    assert await refused(harness, opened) == [""]
    assert await refused(harness, closed) == ["not-its-parties"]
    assert await harness.value("SELECT active FROM rooms") is True
