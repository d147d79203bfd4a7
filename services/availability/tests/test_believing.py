"""SEC-7: what availability does not believe of booking's events, however well they are signed."""

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

from .desk import CAUSE, MINUTE, NOW, Desk, at, later, move, received, request

pytestmark = pytest.mark.rule("SEC-7")
MISSED: dict[str, Any] = {"absent_party": "provider", "missed_at": NOW, "grace_minutes": 10}
CANCELLED: dict[str, Any] = {"cancelled_by": "member", "cancelled_at": NOW, "forfeits": False, "was_confirmed": True}


async def refused(desk: Desk, *events: Event) -> list[str]:
    """Why the events are not believed, in their order."""
    batch = [received(event) for event in events]
    async with desk.database.transaction(CAUSE) as unit:
        await desk.service.events[type(events[0])](batch, unit)
    return [unit.refused.get(one.id, "") for one in batch]


async def held(desk: Desk) -> Any:
    await desk.publish()
    wanted = request(at(10))
    await desk.ask(wanted)
    return wanted


async def live(desk: Desk) -> Any:
    return await desk.value("SELECT count(*) FROM slot_holds WHERE live")


@pytest.mark.parametrize(
    ("kind", "values", "after"),
    [
        (ProviderMissed, MISSED, 10 * MINUTE),
        (MemberNoShow, {"marked_by": "system"}, MINUTE),
        (SessionCompleted, {}, 30 * MINUTE),
    ],
)
async def test_no_outcome_is_believed_before_it_can_be(
    desk: Desk, kind: type[Event], values: dict[str, Any], after: timedelta
) -> None:
    wanted = await held(desk)
    told = later(kind, wanted, **values)
    lying = msgspec.structs.replace(told, starts_at=NOW - timedelta(days=1), ends_at=NOW - timedelta(hours=23))
    assert await refused(desk, told) == await refused(desk, lying) == ["before-its-time"]
    desk.clock.moment = wanted.starts_at + after - CLOCK_SKEW - timedelta(seconds=1)
    assert await refused(desk, told) == ["before-its-time"]
    assert await live(desk) == 1
    desk.clock.moment = wanted.starts_at + after - CLOCK_SKEW
    assert await refused(desk, told) == [""]
    assert await live(desk) == 0


async def test_nobody_releases_the_slot_of_other_parties(desk: Desk) -> None:
    wanted = await held(desk)
    desk.clock.moment = wanted.ends_at
    for change in ({"member_id": "other"}, {"provider_id": "other"}):
        told = msgspec.structs.replace(later(SessionCancelled, wanted, **CANCELLED), **change)
        assert await refused(desk, told) == ["not-its-parties"]
        assert await refused(desk, msgspec.structs.replace(move(wanted, at(12)), **change)) == ["not-its-parties"]
    assert await live(desk) == 1


async def test_only_the_member_forfeits_and_nothing_happened_tomorrow(desk: Desk) -> None:
    wanted = await held(desk)
    forfeits = {**CANCELLED, "cancelled_by": "provider", "forfeits": True}
    assert await refused(desk, later(SessionCancelled, wanted, **forfeits)) == ["not-its-terms"]
    tomorrow = {**CANCELLED, "cancelled_at": NOW + timedelta(days=1)}
    assert await refused(desk, later(SessionCancelled, wanted, **tomorrow)) == ["before-its-time"]
    assert await live(desk) == 1


async def test_a_hold_that_was_just_moved_is_given_back_by_the_end_of_its_session_at_the_old_time(desk: Desk) -> None:
    """RESC-1: booking can end the session before it hears that the slot was swapped."""
    wanted = await held(desk)
    await desk.handle(move(wanted, at(12)))
    desk.clock.moment = wanted.starts_at + 10 * MINUTE
    missed = later(ProviderMissed, wanted, **{**MISSED, "missed_at": desk.clock.moment})
    moved_at = await desk.value("SELECT decided_at FROM slot_moves")
    assert desk.clock.moment - moved_at > timedelta(hours=1)
    assert await refused(desk, missed) == ["before-its-time"], "long after the move booking has heard of it"
    async with as_owner(desk.database.url) as owner:
        await owner.execute("UPDATE slot_moves SET decided_at = $1", desk.clock.moment - MINUTE)
    [released] = await desk.handle(missed)
    assert isinstance(released, SlotReleased)


async def test_one_that_is_refused_spoils_none_of_its_batch(desk: Desk) -> None:
    await desk.publish()
    first, second = request(at(10)), request(at(11), member="b")
    await desk.ask(first, second)
    told = [later(SessionCancelled, one, **CANCELLED) for one in (first, second)]
    assert await refused(desk, msgspec.structs.replace(told[0], member_id="other"), told[1]) == ["not-its-parties", ""]
    assert await live(desk) == 1


async def test_a_room_keeps_its_parties(desk: Desk) -> None:
    room = new_id()
    opened = RoomOpened(room_id=room, member_id="anna", provider_id="doc", room_version=1, opened_at=NOW)
    closed = RoomClosed(room_id=room, member_id="other", provider_id="doc", room_version=2, closed_at=NOW)
    assert await refused(desk, opened) == [""]
    assert await refused(desk, closed) == ["not-its-parties"]
    assert await desk.value("SELECT active FROM rooms") is True
