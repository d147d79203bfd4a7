"""Moves and extensions: from one slot to the other in one step, or everything stays as it was (RESC-1, RESC-2, EXT-1)."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from makegood_contracts.events import (
    SessionCancelled,
    SessionExtensionRequested,
    SessionRequested,
    SlotMoved,
    SlotMoveRefused,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received
from msgspec import structs

from .harness import MINUTE, NOW, AvailabilityHarness, all_codes, at, booked, codes, later, move, place, request
from .test_handlers import venue

Client = Callable[[str, str], httpx.AsyncClient]


def extend(of: SessionRequested, minutes: int, **values: Any) -> SessionExtensionRequested:
    end = of.ends_at + minutes * MINUTE
    defaults = {"move_id": new_id(), "new_ends_at": end, "decide_by": NOW + 5 * MINUTE}
    return later(SessionExtensionRequested, of, **{**defaults, **values})


@pytest.mark.rule("RESC-1")
async def test_a_move_frees_the_old_slot_and_takes_the_new_one_in_one_step(harness: AvailabilityHarness) -> None:
    await harness.publish(buffer_before_minutes=5, buffer_after_minutes=10)
    room = await venue(harness)
    wanted = request(at(10))
    await booked(harness, wanted)
    asked = move(wanted, at(14), 60, new_venue_id=room, modality="in_person")
    (moved,) = await harness.receive(asked)
    assert isinstance(moved, SlotMoved)
    assert moved == SlotMoved(
        session_id=wanted.session_id,
        provider_id="doc",
        member_id="anna",
        venue_id=room,
        starts_at=at(14),
        ends_at=at(15),
        move_id=asked.move_id,
        old_starts_at=at(10),
        old_ends_at=at(10, 30),
        blocked_from=at(13, 55),
        blocked_until=at(15, 10),
    )
    assert await place(harness, wanted.session_id) == (at(14), at(15), room, at(13, 55), at(15, 10))
    others = [request(at(10), member="b"), request(at(14, 15), member="c")]
    assert all_codes(await harness.ask(*others)) == [[], ["slot-taken"]]


@pytest.mark.rule("RESC-1", "AVAIL-3")
async def test_a_refused_move_says_every_reason_in_order_and_leaves_the_hold_where_it_was(
    harness: AvailabilityHarness,
) -> None:
    for provider in ("doc", "other", "third"):
        await harness.publish(provider)
    room = await venue(harness)
    wanted = request(at(10))
    await booked(harness, wanted, request(at(12), member="b"), request(at(12), provider="other"))
    await booked(harness, request(at(12, 15), provider="third", member="c", venue_id=room))
    before = await place(harness, wanted.session_id)
    asked = move(wanted, at(12, 10), new_venue_id=room, modality="in_person")
    (refused,) = await harness.receive(asked)
    assert isinstance(refused, SlotMoveRefused)
    assert codes(refused) == ["slot-not-offered", "slot-taken", "venue-taken", "member-busy"]
    assert (refused.move_id, refused.starts_at, refused.ends_at, refused.venue_id) == (
        asked.move_id,
        at(10),
        at(10, 30),
        None,
    )
    assert await place(harness, wanted.session_id) == before


@pytest.mark.rule("RESC-1")
async def test_a_sessions_own_slot_is_not_in_the_way_of_its_move(harness: AvailabilityHarness) -> None:
    await harness.publish(buffer_before_minutes=15, buffer_after_minutes=15)
    room = await venue(harness)
    wanted = request(at(10), 60, venue_id=room)
    await booked(harness, wanted)
    for start in (at(10, 15), at(9, 45)):
        (moved,) = await harness.receive(move(wanted, start))
        assert isinstance(moved, SlotMoved), moved
    assert (await place(harness, wanted.session_id))[:2] == (at(9, 45), at(10, 45))


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize("why", ["late", "ended", "lapsed", "unknown"])
async def test_a_move_that_came_too_late_or_of_a_session_that_holds_nothing_is_refused(
    harness: AvailabilityHarness, why: str
) -> None:
    await harness.publish()
    wanted = request(at(10))
    asked = move(wanted, at(12))
    if why == "late":
        await booked(harness, wanted)
        harness.clock.moment = asked.decide_by
    elif why == "ended":
        await booked(harness, wanted)
        values = {"cancelled_by": "member", "cancelled_at": NOW, "forfeits": False, "was_confirmed": True}
        await harness.receive(later(SessionCancelled, wanted, **values))
    elif why == "lapsed":
        await harness.ask(wanted)
        await harness.pass_time(wanted.hold_until)
        asked = msgspec.structs.replace(asked, decide_by=wanted.hold_until + MINUTE)
    (refused,) = await harness.receive(asked)
    assert codes(refused) == ["temporary-interruption"]
    assert all_codes(await harness.ask(request(at(12), member="b", hold_until=at(9)))) == [[]]


@pytest.mark.rule("RESC-1", "BOOK-9")
async def test_a_move_that_is_repeated_has_one_effect_and_one_answer(harness: AvailabilityHarness) -> None:
    await harness.publish()
    wanted = request(at(10))
    await booked(harness, wanted)
    first, second = move(wanted, at(12)), move(wanted, at(14))
    assert len(await harness.receive(first, first)) == 1
    assert len(await harness.receive(second)) == 1
    assert await harness.receive(first) == []
    assert await harness.receive(first, second) == []
    assert (await place(harness, wanted.session_id))[0] == at(14)
    refused = move(wanted, at(20))
    assert len(await harness.receive(refused)) == 1
    await harness.publish(weekly=[{"day": "tuesday", "from": "00:00", "to": "24:00"}])
    assert await harness.receive(refused) == []


@pytest.mark.rule("RESC-1")
async def test_moves_of_one_batch_take_their_turns_so_that_a_slot_left_can_be_taken(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    requests = [request(at(hour), member=f"m{hour}") for hour in (9, 10, 11)]
    await booked(harness, *requests)
    into_taken, into_free, into_left = move(requests[0], at(10)), move(requests[1], at(12)), move(requests[2], at(10))
    answers = await harness.receive(into_taken, into_free, into_left)
    assert [codes(answer) for answer in answers] == [["slot-taken"], [], []]
    assert [(await place(harness, wanted.session_id))[0] for wanted in requests] == [at(9), at(12), at(10)]


@pytest.mark.rule("RESC-1")
async def test_the_events_of_a_session_are_counted_without_a_gap(harness: AvailabilityHarness) -> None:
    await harness.publish()
    wanted = request(at(10))
    handlers = harness.service.events
    ended = later(SessionCancelled, wanted, cancelled_by="member", cancelled_at=NOW, forfeits=False, was_confirmed=True)
    longer = extend(wanted, 15, starts_at=at(12), new_ends_at=at(12, 45))
    stale = extend(wanted, 15)
    for event in (wanted, move(wanted, at(12)), move(wanted, at(23)), longer, stale, ended, move(wanted, at(13))):
        async with harness.database.transaction(CAUSE) as unit:
            await handlers[type(event)]([received(event)], unit)
    told = [(type(record.event).__name__, record.sequence) for record in await harness.records()]
    assert told == [
        ("SlotHeld", 1),
        ("SlotMoved", 2),
        ("SlotMoveRefused", 3),
        ("SlotMoved", 4),
        ("SlotMoveRefused", 5),
        ("SlotReleased", 6),
        ("SlotMoveRefused", 7),
    ]


@pytest.mark.rule("RESC-2")
async def test_notice_grid_and_horizon_bind_the_member_and_not_the_provider(harness: AvailabilityHarness) -> None:
    await harness.publish(minimum_notice_minutes=24 * 60, horizon_days=7)
    wanted = request(at(10))
    await booked(harness, wanted)
    targets = {
        "off the grid": at(10, 40),
        "too soon": at(14, day=4),
        "beyond the horizon": at(10, day=20),
        "outside hours": at(16, 45),
        "passed": NOW - timedelta(hours=20),
    }
    await harness.receive(move(wanted, at(9)))
    for why, start in targets.items():
        (by_member,) = await harness.receive(move(wanted, start))
        assert codes(by_member) == ["slot-not-offered"], why
    await harness.publish(minimum_notice_minutes=24 * 60, horizon_days=7, session_types=[])
    for why, start in targets.items():
        (by_provider,) = await harness.receive(move(wanted, start, moved_by="provider"))
        assert codes(by_provider) == (["slot-not-offered"] if why in ("outside hours", "passed") else []), why


@pytest.mark.rule("RESC-1", "EXT-1")
async def test_a_member_moves_what_was_extended_to_where_all_of_it_fits(harness: AvailabilityHarness) -> None:
    """Sessions of 30 minutes are offered; the provider made 60 of this one."""
    await harness.publish(session_types=[{"length_minutes": 30, "modalities": ["video"]}])
    wanted = request(at(10))
    await booked(harness, wanted)
    await harness.receive(extend(wanted, 30))
    ends_at = wanted.starts_at + 60 * MINUTE
    for start, length, expected in ((at(16, 30), 60, False), (at(14), 60, True), (at(9), 75, False)):
        asked = move(wanted, start, length, extended_minutes=30)
        (answer,) = await harness.receive(structs.replace(asked, ends_at=ends_at, length_minutes=60))
        assert codes(answer) == ([] if expected else ["slot-not-offered"]), start


@pytest.mark.rule("BOOK-5")
async def test_a_provider_books_at_any_time_within_hours_and_a_member_where_slots_start(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish(minimum_notice_minutes=24 * 60)
    wanted = request(at(14, 5, day=4))
    assert all_codes(await harness.ask(wanted)) == [["slot-not-offered"]]
    by_provider = msgspec.structs.replace(wanted, session_id=new_id(), booked_by="provider")
    outside = msgspec.structs.replace(request(at(18), 30), booked_by="provider")
    not_offered = msgspec.structs.replace(request(at(11), 45, member="b"), booked_by="provider")
    assert all_codes(await harness.ask(by_provider, outside, not_offered)) == [
        [],
        ["slot-not-offered"],
        ["slot-not-offered"],
    ]


@pytest.mark.rule("RESC-2", "AVAIL-2")
@pytest.mark.parametrize("seed", range(8))
async def test_what_the_check_says_before_is_what_a_providers_move_gets(
    harness: AvailabilityHarness, client: Client, seed: int
) -> None:
    rng = random.Random(seed)
    rooms = [await venue(harness), await venue(harness, weekly=[{"day": "tuesday", "from": "10:00", "to": "14:00"}])]
    await harness.publish(
        buffer_before_minutes=rng.choice([0, 10]), buffer_after_minutes=rng.choice([0, 20]), minimum_notice_minutes=600
    )
    await harness.publish("other")
    provider = client("provider", "doc")
    off = {"starts_at": at(15).isoformat(), "ends_at": at(15, 40).isoformat()}
    assert (await provider.post("/v1/providers/doc/time-off", json=off)).status_code == 201
    mine = request(at(12), venue_id=rooms[0])
    await booked(harness, mine)
    await harness.ask(*(request(at(9 + n), member=f"m{n}", venue_id=rng.choice([None, *rooms])) for n in (0, 2, 5)))
    await harness.ask(
        *(request(at(9 + n), provider="other", member=f"o{n}", venue_id=rng.choice(rooms)) for n in range(6))
    )
    busy = rng.choice([13, 16])
    await harness.publish("third")
    assert all_codes(await harness.ask(request(at(busy, 15), provider="third", member=mine.member_id))) == [[]]
    seen = set()
    for _ in range(80):
        start = at(8) + 5 * MINUTE * rng.randrange(120)
        room, length = rng.choice(rooms), rng.choice([30, 60])
        query: dict[str, Any] = {
            "starts_at": start.isoformat(),
            "length_minutes": length,
            "modality": "in_person",
            "venue_id": room,
            "session_id": mine.session_id,
        }
        said = (await provider.get("/v1/providers/doc/availability", params=query)).json()["message"]
        (answer,) = await harness.receive(move(mine, start, length, new_venue_id=room, moved_by="provider"))
        got = codes(answer)
        if not got:
            expected = "Slot available"
        elif got[0] == "venue-taken":
            expected = "Venue is not available"
        elif got[0] == "member-busy":
            expected = "Member is not available"
        else:
            expected = "Provider is not available"
        assert said == expected, (start, length, room, got)
        seen.add(said)
    assert seen >= {"Slot available", "Provider is not available", "Venue is not available"}, seen


@pytest.mark.rule("EXT-1")
async def test_an_extension_lengthens_the_slot_whatever_the_hours_and_keeps_its_buffers(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish(buffer_before_minutes=5, buffer_after_minutes=10)
    wanted = request(at(16, 30))
    await booked(harness, wanted)
    await harness.publish()
    asked = extend(wanted, 20)
    (moved,) = await harness.receive(asked)
    assert isinstance(moved, SlotMoved)
    assert (moved.move_id, moved.starts_at, moved.ends_at) == (asked.move_id, at(16, 30), at(17, 20))
    assert (moved.old_starts_at, moved.old_ends_at) == (at(16, 30), at(17))
    assert (await place(harness, wanted.session_id))[3:] == (at(16, 25), at(17, 30))
    assert (moved.blocked_from, moved.blocked_until) == (at(16, 25), at(17, 30))


@pytest.mark.rule("EXT-1", "AVAIL-3")
async def test_an_extension_is_refused_for_each_of_those_whose_time_is_taken(harness: AvailabilityHarness) -> None:
    await harness.publish()
    await harness.publish("other")
    room = await venue(harness, weekly=[{"day": "tuesday", "from": "09:00", "to": "15:00"}])
    wanted, last = request(at(10), venue_id=room), request(at(14, 30), member="z", venue_id=room)
    await booked(harness, wanted, last, request(at(10, 45), member="b"))
    await booked(harness, request(at(11), provider="other"))
    assert [codes(answer) for answer in await harness.receive(extend(wanted, 15))] == [[]]
    wanted = msgspec.structs.replace(wanted, ends_at=at(10, 45))
    assert [codes(answer) for answer in await harness.receive(extend(wanted, 15))] == [["slot-taken"]]
    assert [codes(answer) for answer in await harness.receive(extend(wanted, 30))] == [["slot-taken", "member-busy"]]
    assert [codes(answer) for answer in await harness.receive(extend(last, 10))] == [["venue-taken"]]
    late = extend(wanted, 5, decide_by=NOW)
    assert [codes(answer) for answer in await harness.receive(late)] == [["temporary-interruption"]]
    assert (await place(harness, wanted.session_id))[1] == at(10, 45)
