"""Requests, endings and lapses against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from makegood_availability.store import schedules
from makegood_availability.store.schedules import TimeOff
from makegood_chassis.messaging.failures import is_transient
from makegood_contracts.events import (
    Event,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    SlotHeld,
    SlotRefused,
    SlotReleased,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received

from .harness import MINUTE, NOW, AvailabilityHarness, all_codes, at, codes, later, request

OVERLAPPING = """
SELECT count(*) FROM slot_holds a JOIN slot_holds b ON a.session_id < b.session_id AND a.live AND b.live
WHERE (a.provider_id = b.provider_id AND a.blocked && b.blocked)
    OR (a.member_id = b.member_id AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at))
    OR (a.venue_id = b.venue_id AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at))
"""
ENDINGS: list[tuple[type[Event], str, dict[str, Any]]] = [
    (SessionRejected, "rejected", {"reasons": []}),
    (SessionDeclined, "declined", {}),
    (SessionExpired, "expired", {}),
    (
        SessionCancelled,
        "cancelled",
        {"cancelled_by": "member", "cancelled_at": NOW, "forfeits": False, "was_confirmed": True},
    ),
    (SessionCompleted, "completed", {}),
    (ProviderMissed, "provider_missed", {"absent_party": "provider", "missed_at": NOW, "grace_minutes": 10}),
    (MemberNoShow, "member_no_show", {"marked_by": "system"}),
]


async def venue(harness: AvailabilityHarness, **hours: Any) -> str:
    venue_id = new_id()
    async with harness.database.transaction(CAUSE) as unit:
        await unit.execute(
            "INSERT INTO venues (id, version, name, time_zone, weekly) VALUES ($1, 1, 'Room 4', 'UTC', $2)",
            venue_id,
            hours.get("weekly"),
        )
    return venue_id


@pytest.mark.rule("BOOK-1", "AVAIL-3")
async def test_a_slot_that_is_offered_and_free_is_held_for_the_session(harness: AvailabilityHarness) -> None:
    await harness.publish(buffer_before_minutes=10, buffer_after_minutes=20)
    wanted = request(at(10), 60)
    (answer,) = await harness.receive(wanted)
    assert isinstance(answer, SlotHeld)
    assert (answer.starts_at, answer.ends_at, answer.hold_until) == (at(10), at(11), wanted.hold_until)
    blocked = await harness.value("SELECT blocked FROM slot_holds WHERE live")
    assert (blocked.lower, blocked.upper) == (at(9, 50), at(11, 20)) == (answer.blocked_from, answer.blocked_until)


@pytest.mark.rule("BOOK-1", "AVAIL-1")
async def test_what_the_schedule_does_not_offer_is_refused_and_nothing_is_held(harness: AvailabilityHarness) -> None:
    await harness.publish()
    requests = [request(at(10, 5)), request(at(10), 45), request(at(18)), request(at(10), provider="stranger")]
    assert all_codes(await harness.ask(*requests)) == [["slot-not-offered"]] * 4
    assert await harness.value("SELECT count(*) FROM slot_holds") == 0


@pytest.mark.rule("BOOK-1", "AVAIL-2")
@pytest.mark.parametrize("odd", ["kitchen", "urn:uuid:{}", "{{{}}}", "0197f000-0000-7000-8000-0000_0000_00", ""])
async def test_a_venue_that_is_no_id_is_refused_and_spoils_no_other_request(
    harness: AvailabilityHarness, odd: str
) -> None:
    await harness.publish()
    room = await venue(harness)
    requests = [request(at(10), venue_id=room), request(at(12), member="b")]
    strange = request(at(11), member="c", venue_id=odd.format(room))
    strange = msgspec.structs.replace(strange, modality="in_person")
    assert all_codes(await harness.ask(requests[0], strange, requests[1])) == [[], ["venue-taken"], []]


@pytest.mark.rule("AVAIL-3")
async def test_buffers_keep_sessions_apart_by_the_first_ones_after_and_the_second_ones_before(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish(buffer_before_minutes=15, buffer_after_minutes=15)
    first, near, far = (request(at(*t), member=m) for t, m in [((10, 0), "a"), ((10, 45), "b"), ((11, 0), "c")])
    assert all_codes(await harness.ask(first, near, far)) == [[], ["slot-taken"], []]


@pytest.mark.rule("AVAIL-3", "BOOK-1")
async def test_every_reason_is_told_the_schedules_first(harness: AvailabilityHarness) -> None:
    await harness.publish()
    await harness.publish("other")
    room = await venue(harness)
    assert all_codes(
        await harness.ask(request(at(10), venue_id=room), request(at(10), provider="other", member="b"))
    ) == [
        [],
        [],
    ]
    everything = request(at(10), 60, venue_id=room)
    venue_and_member = request(at(10), 45, provider="other", venue_id=room)
    member_only = request(at(10, 15), provider="other", member="anna")
    assert all_codes(await harness.ask(everything, venue_and_member, member_only)) == [
        ["slot-taken", "venue-taken", "member-busy"],
        ["slot-not-offered", "slot-taken", "venue-taken", "member-busy"],
        ["slot-taken", "member-busy"],
    ]


@pytest.mark.rule("AVAIL-3")
async def test_of_two_requests_in_one_batch_the_earlier_in_topic_order_wins(harness: AvailabilityHarness) -> None:
    await harness.publish()
    late_start, early_start = request(at(10, 15), member="a"), request(at(10), member="b")
    assert all_codes(await harness.ask(late_start, early_start)) == [[], ["slot-taken"]]
    same_member = [request(at(14), provider=p, member="c") for p in ("zoe", "adam")]
    for provider in ("zoe", "adam"):
        await harness.publish(provider)
    assert all_codes(await harness.ask(*same_member)) == [[], ["member-busy"]]


@pytest.mark.rule("AVAIL-3")
async def test_of_two_requests_for_one_venue_or_member_the_earlier_wins_whatever_their_providers_are_called(
    harness: AvailabilityHarness,
) -> None:
    for provider in ("a-doc", "z-doc"):
        await harness.publish(provider)
    room = await venue(harness)
    requests = [
        request(at(10), provider="z-doc", member="a", venue_id=room),
        request(at(10), provider="a-doc", member="b", venue_id=room),
        request(at(12), provider="z-doc", member="c"),
        request(at(12), provider="a-doc", member="c"),
    ]
    assert all_codes(await harness.ask(*requests)) == [[], ["venue-taken"], [], ["member-busy"]]


@pytest.mark.rule("AVAIL-3")
async def test_the_second_in_the_batch_gets_the_slot_if_the_first_cannot_have_it(harness: AvailabilityHarness) -> None:
    await harness.publish()
    await harness.publish("other")
    await harness.ask(request(at(10), provider="other", member="busy"))
    first, second = await harness.ask(request(at(10), member="busy"), request(at(10), member="free"))
    assert isinstance(second, SlotHeld)
    assert "member-busy" in codes(first)


@pytest.mark.rule("AVAIL-1")
async def test_a_change_of_schedule_or_time_off_counts_for_the_next_request_and_never_touches_held_slots(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    held = request(at(10))
    assert all_codes(await harness.ask(held)) == [[]]
    await harness.publish(weekly=[{"day": "tuesday", "from": "12:00", "to": "24:00"}])
    assert all_codes(await harness.ask(request(at(11), member="b"), request(at(23, 30), member="c"))) == [
        ["slot-not-offered"],
        [],
    ]
    async with harness.database.transaction(CAUSE) as unit:
        await schedules.touch(unit, "doc")
        await schedules.add_time_off(unit, "doc", TimeOff(new_id(), at(13), at(14), None))
    assert all_codes(await harness.ask(request(at(13, 15), member="d"), request(at(14), member="e"))) == [
        ["slot-not-offered"],
        [],
    ]
    assert await harness.value("SELECT live FROM slot_holds WHERE session_id = $1", held.session_id)


@pytest.mark.rule("AVAIL-3")
async def test_a_venue_is_held_by_one_session_and_only_while_it_is_open(harness: AvailabilityHarness) -> None:
    await harness.publish()
    await harness.publish("other")
    room = await venue(harness, weekly=[{"day": "tuesday", "from": "10:00", "to": "12:00"}])
    requests = [
        request(at(10), venue_id=room),
        request(at(10, 15), provider="other", member="b", venue_id=room),
        request(at(12), member="c", venue_id=room),
        request(at(15), member="d", venue_id=new_id()),
    ]
    assert all_codes(await harness.ask(*requests)) == [[], ["venue-taken"], ["venue-taken"], ["venue-taken"]]


@pytest.mark.rule("CANC-3")
@pytest.mark.parametrize(("kind", "cause", "values"), ENDINGS)
async def test_every_ending_releases_the_slot_once_and_it_can_be_booked_again(
    harness: AvailabilityHarness, kind: type[Event], cause: str, values: dict[str, Any]
) -> None:
    await harness.publish()
    wanted = request(at(10))
    await harness.ask(wanted)
    ending = later(kind, wanted, **values)
    if kind in (SessionCompleted, ProviderMissed, MemberNoShow):
        harness.clock.moment = wanted.ends_at - MINUTE  # of clocks that differ by so much
    (released,) = await harness.receive(ending)
    assert isinstance(released, SlotReleased)
    assert (released.cause, released.reopened) == (cause, True)
    harness.clock.moment = NOW
    assert await harness.receive(ending) == []
    assert all_codes(await harness.ask(request(at(10)))) == [[]]


@pytest.mark.rule("CANC-3")
async def test_a_slot_whose_end_has_passed_is_released_but_does_not_reopen(harness: AvailabilityHarness) -> None:
    await harness.publish()
    wanted = request(at(10))
    await harness.ask(wanted)
    harness.clock.moment = wanted.ends_at
    (released,) = await harness.receive(later(SessionCompleted, wanted))
    assert isinstance(released, SlotReleased)
    assert not released.reopened


@pytest.mark.rule("CANC-3")
async def test_a_request_that_comes_after_its_sessions_end_holds_nothing_and_says_nothing(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    wanted = request(at(10))
    assert await harness.receive(later(SessionRejected, wanted, reasons=[])) == []
    assert await harness.receive(wanted) == []
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 0


@pytest.mark.rule("BOOK-9")
async def test_a_request_that_is_handled_again_holds_one_slot(harness: AvailabilityHarness) -> None:
    await harness.publish()
    wanted = request(at(10))
    assert len(await harness.receive(wanted)) == 1
    assert await harness.receive(wanted) == []
    assert await harness.value("SELECT count(*) FROM slot_holds") == 1


@pytest.mark.rule("AVAIL-4")
async def test_a_hold_that_is_never_settled_lapses_by_itself_and_not_before_its_time(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    until = NOW + 15 * MINUTE + timedelta(microseconds=1)
    abandoned, reserved = request(at(10), hold_until=until), request(at(11), hold_until=until)
    await harness.ask(abandoned, reserved)
    await harness.receive(later(SessionReserved, reserved, confirm_by=at(9)))
    assert await harness.pass_time(NOW + 15 * MINUTE) == []
    (released,) = await harness.pass_time(NOW + 15 * MINUTE + timedelta(seconds=1))
    assert (released.session_id, released.cause, released.reopened) == (abandoned.session_id, "lapsed", True)
    assert await harness.pass_time(NOW + timedelta(days=30)) == []
    assert await harness.value("SELECT live AND firm FROM slot_holds WHERE session_id = $1", reserved.session_id)


@pytest.mark.rule("AVAIL-4")
async def test_each_of_many_holds_lapses_at_its_own_second(harness: AvailabilityHarness) -> None:
    await harness.publish()
    requests = [
        request(at(9 + i // 2, 30 * (i % 2)), member=f"m{i}", hold_until=NOW + timedelta(seconds=10 * (i // 4)))
        for i in range(4, 16)
    ]
    await harness.ask(*requests)
    assert await harness.value("SELECT count(*) FROM deadlines") == 3
    for batch in range(1, 4):
        released = await harness.pass_time(NOW + timedelta(seconds=10 * batch))
        assert {slot.session_id for slot in released} == {w.session_id for w in requests[4 * batch - 4 : 4 * batch]}


@pytest.mark.rule("AVAIL-4")
async def test_a_request_that_comes_through_after_its_hold_would_have_lapsed_is_refused(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    assert all_codes(await harness.ask(request(at(10), hold_until=NOW))) == [["slot-not-offered"]]


@pytest.mark.rule("AVAIL-3")
async def test_the_database_itself_refuses_overlapping_holds(harness: AvailabilityHarness) -> None:
    await harness.publish()
    await harness.ask(request(at(10)))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await harness.value(
            "INSERT INTO slot_holds (session_id, provider_id, member_id, starts_at, ends_at, blocked, hold_until, live)"
            " VALUES ($1, 'doc', 'else', $2, $3, tstzrange($2, $3), $2, true)",
            new_id(),
            at(10, 15),
            at(10, 45),
        )


@pytest.mark.rule("AVAIL-3", "REL-2")
async def test_200_concurrent_transactions_for_overlapping_slots_never_leave_an_overlapping_pair(
    harness: AvailabilityHarness,
) -> None:
    day = [{"day": "tuesday", "from": "00:00", "to": "24:00"}]
    providers, members, hours = ("p0", "p1", "p2"), ("m0", "m1", "m2", "m3"), range(0, 16, 2)
    for provider in providers:
        await harness.publish(provider, buffer_after_minutes=10, weekly=day)
    rooms = [await venue(harness), await venue(harness)]
    rng = random.Random(7)
    # Of each even hour any two requests overlap, whoever makes them; those of two hours never do. Every provider finds a member
    # who is free, since there are more of them, and needs no venue: so exactly one session a provider and hour is held.
    requests = [
        request(at(hour, start), length, provider=provider, member=member, venue_id=room)
        for hour, provider, member, room in itertools.product(hours, providers, members, [None, *rooms])
        for start, length in [rng.choice([(0, 30), (15, 30), (0, 60)])]
    ]
    rng.shuffle(requests)
    cuts = [0, *sorted(rng.sample(range(1, len(requests)), 199)), len(requests)]
    batches = [requests[start:end] for start, end in itertools.pairwise(cuts)]

    async def one(batch: list[SessionRequested]) -> None:
        while True:
            try:
                async with harness.database.transaction(CAUSE) as unit:
                    await harness.service.events[SessionRequested]([received(event) for event in batch], unit)
                return
            except asyncpg.PostgresError as error:
                if not is_transient(error):
                    raise

    await asyncio.gather(*(one(batch) for batch in batches))
    answers = await harness.outbox()
    assert len(batches) == 200
    assert len(answers) == len(requests)
    assert await harness.value(OVERLAPPING) == 0
    held = await harness.value("SELECT count(*) FROM slot_holds WHERE live")
    assert held == sum(isinstance(answer, SlotHeld) for answer in answers) == len(providers) * len(hours)
    refused = {answer.session_id: answer for answer in answers if isinstance(answer, SlotRefused)}
    assert all(codes(answer) for answer in refused.values())
    again = [event for event in requests if event.session_id in refused]
    still = await harness.ask(
        *(
            request(e.starts_at, e.length_minutes, provider=e.provider_id, member=e.member_id, venue_id=e.venue_id)
            for e in again
        )
    )
    assert not any(isinstance(answer, SlotHeld) for answer in still), "a slot was refused that nobody has"
