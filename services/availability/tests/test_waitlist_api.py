"""The waitlist over HTTP: who may wait, what is refused, how it is listed (AVAIL-6)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from makegood_availability.store import rooms
from makegood_chassis.messaging.failures import is_transient
from makegood_contracts.events import RoomClosed, RoomRestarted, SessionCancelled
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received

from .harness import NOW, AvailabilityHarness, at
from .waiting import (
    ANNA,
    HOUR,
    ROOMS,
    WANTED,
    Client,
    cancelled,
    full_morning,
    join,
    mine,
    opened,
    statuses,
    told,
)


@pytest.mark.rule("AVAIL-6")
async def test_who_leaves_passes_the_offer_on(harness: AvailabilityHarness, client: Client) -> None:
    taken = await full_morning(harness)
    first = await join(client, "anna")
    await join(client, "ben")
    await harness.outbox()
    await harness.receive(cancelled(taken))
    anna, path = client("member", "anna"), f"/v1/rooms/{ANNA}/waitlist/{first['id']}"
    assert (await client("member", "ben").delete(path)).status_code == 404
    assert (await anna.delete(f"/v1/rooms/{ANNA}/waitlist/{new_id()}")).status_code == 404
    gone = await anna.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert told(await harness.outbox()) == [("Ended", "anna"), ("Offered", "ben")]
    assert await mine(client, "anna") == []
    assert (await anna.delete(path)).status_code == 404
    assert await harness.advance(NOW + HOUR) == []


@pytest.mark.rule("AVAIL-6")
async def test_an_entry_can_lie_at_the_end_of_all_time(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    last = {"from": "9999-11-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    answer = await client("member", "anna").post(f"/v1/rooms/{ANNA}/waitlist", json={**WANTED, **last})
    assert (answer.status_code, answer.json()["status"]) == (201, "waiting"), answer.text
    assert answer.json()["to"] == last["to"]


@pytest.mark.rule("AVAIL-6", "BOOK-9")
async def test_a_request_that_is_repeated_with_its_key_waits_once(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    anna = client("member", "anna")
    first, second = [
        await anna.post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert first.json() == second.json()
    assert len(await mine(client, "anna")) == 1


@pytest.mark.rule("AVAIL-6")
async def test_asking_for_the_same_again_answers_with_the_open_entry(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    anna, path = client("member", "anna"), f"/v1/rooms/{ANNA}/waitlist"
    first = await join(client, "anna")
    again = await asyncio.gather(*(anna.post(path, json=WANTED) for _ in range(10)))
    assert {(answer.status_code, answer.json()["id"]) for answer in again} == {(200, first["id"])}
    assert told(await harness.outbox()) == [("Joined", "anna")]

    await harness.receive(cancelled(taken))
    offered = await anna.post(path, json=WANTED)
    assert (offered.status_code, offered.json()["status"]) == (200, "offered")
    assert (await anna.delete(f"{path}/{first['id']}")).status_code == 204
    anew = await anna.post(path, json=WANTED)
    assert anew.status_code == 201
    assert anew.json()["id"] != first["id"], "who left joins anew, at the end"


@pytest.mark.rule("AVAIL-6")
async def test_a_room_has_five_open_entries_at_most_however_many_are_sent_at_once(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    anna, path = client("member", "anna"), f"/v1/rooms/{ANNA}/waitlist"
    requests = [{**WANTED, "to": at(10, minute).isoformat()} for minute in range(10)]
    answers = await asyncio.gather(*(anna.post(path, json=wanted) for wanted in requests))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 5
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "/problems/waitlist-full"
    assert [reason["code"] for reason in refused.json()["reasons"]] == ["waitlist-full"]

    first = (await mine(client, "anna"))[0]
    await join(client, "ben")
    assert (await anna.delete(f"{path}/{first['id']}")).status_code == 204
    again = next(wanted for wanted, answer in zip(requests, answers, strict=True) if answer.status_code == 409)
    assert (await anna.post(path, json=again)).status_code == 201


@pytest.mark.rule("AVAIL-6")
@pytest.mark.parametrize(
    ("changes", "status", "slug"),
    [
        ({"to": at(9).isoformat()}, 422, "validation"),
        ({"from": (NOW - HOUR).isoformat(), "to": NOW.isoformat()}, 422, "validation"),
        ({"to": (at(9) + timedelta(days=93)).isoformat()}, 422, "validation"),
        ({"from": "2027-01-05T09:00:00"}, 422, "validation"),
        ({"length_minutes": 4}, 422, "validation"),
        ({"modality": "carrier pigeon"}, 422, "validation"),
        ({"surprise": 1}, 422, "validation"),
        ({"length_minutes": 45}, 409, "slot-not-offered"),
        ({"modality": "chat"}, 409, "slot-not-offered"),
    ],
)
async def test_an_entry_that_cannot_be_is_refused(
    harness: AvailabilityHarness, client: Client, changes: dict[str, Any], status: int, slug: str
) -> None:
    await full_morning(harness)
    answer = await client("member", "anna").post(f"/v1/rooms/{ANNA}/waitlist", json={**WANTED, **changes})
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert await harness.value("SELECT count(*) FROM waitlist") == 0


@pytest.mark.rule("AVAIL-6", "SEC-1")
async def test_the_member_waits_and_the_parties_and_support_read(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    entry = await join(client, "anna")
    path = f"/v1/rooms/{ANNA}/waitlist"
    for role, subject in (("member", "anna"), ("provider", "doc"), ("support", "sam")):
        listed = await client(role, subject).get(path)
        assert [item["id"] for item in listed.json()["items"]] == [entry["id"]], role
    assert (await client("member", "ben").get(path)).status_code == 404
    assert (await client("provider", "other").get(path)).status_code == 404
    assert (await client("member", "ben").post(path, json=WANTED)).status_code == 404
    assert (await client("provider", "doc").post(path, json=WANTED)).status_code == 403
    assert (await client("ops", "olga").get(path)).status_code == 403
    assert (await client("member", "anna").get("/v1/rooms/kitchen/waitlist")).status_code == 404


@pytest.mark.rule("AVAIL-6")
async def test_the_list_pages_in_the_order_of_its_making(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    ids = [(await join(client, "anna", to=at(10, minute).isoformat()))["id"] for minute in range(5)]
    anna, path = client("member", "anna"), f"/v1/rooms/{ANNA}/waitlist"
    paged: list[str] = []
    cursor: dict[str, str] = {}
    while cursor is not None:
        page = (await anna.get(path, params={"limit": 2, **cursor})).json()
        paged += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == ids


@pytest.mark.rule("AVAIL-6")
async def test_the_events_of_a_provider_are_counted_without_a_gap(harness: AvailabilityHarness, client: Client) -> None:
    taken = await full_morning(harness)
    doc = client("provider", "doc")
    await harness.records()
    before = await harness.value("SELECT sequence FROM schedules WHERE provider_id = 'doc'")
    for member in ROOMS:
        await join(client, member)
    handler = harness.service.events[SessionCancelled]
    async with harness.database.transaction(CAUSE) as unit:
        await handler([received(cancelled(taken))], unit)
    off = {"starts_at": at(8).isoformat(), "ends_at": at(11).isoformat()}
    await doc.post("/v1/providers/doc/time-off", json=off)
    records = [record for record in await harness.records() if record.key == "doc"]
    assert [record.sequence for record in records] == list(range(before + 1, before + 7))
    read = await doc.get("/v1/providers/doc/schedule")
    assert read.headers["etag"] == '"2"', "who waits changes nothing of the schedule's version"


@pytest.mark.rule("AVAIL-6", "AVAIL-3")
async def test_a_slot_that_opens_while_many_join_is_offered_to_one_of_them(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    members = {f"m{number}": new_id() for number in range(20)}
    await harness.receive(*(opened(room, member) for member, room in members.items()))
    release = harness.service.events[SessionCancelled]

    async def wait(member: str, room: str) -> None:
        while True:
            answer = await client("member", member).post(f"/v1/rooms/{room}/waitlist", json=WANTED)
            if answer.status_code == 201:
                return
            assert answer.status_code == 503, answer.text

    async def open_it() -> None:
        while True:
            try:
                async with harness.database.transaction(CAUSE) as unit:
                    await release([received(cancelled(taken))], unit)
                return
            except asyncpg.PostgresError as error:
                if not is_transient(error):
                    raise

    waits = [wait(member, room) for member, room in members.items()]
    await asyncio.gather(*waits[:10], open_it(), *waits[10:])
    # Whoever joined while the release was being written, and neither saw the other, is found by the second look.
    await harness.advance(NOW + timedelta(seconds=5))
    assert await harness.value("SELECT count(*) FROM waitlist WHERE status = 'offered'") == 1
    assert await harness.value("SELECT count(*) FROM waitlist WHERE status = 'waiting'") == 19
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live AND offered_to IS NOT NULL") == 1


@pytest.mark.rule("AVAIL-6")
async def test_who_joins_while_a_release_is_being_written_that_did_not_see_them_gets_the_slot(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    async with harness.database.transaction(CAUSE) as unit:
        await harness.service.events[SessionCancelled]([received(cancelled(taken))], unit)
        assert (await join(client, "anna"))["status"] == "waiting", "neither sees the other yet"
    assert await statuses(client) == [("waiting", 1)]
    await harness.advance(NOW + timedelta(seconds=5))
    assert await statuses(client) == [("offered", 1)]


@pytest.mark.rule("AVAIL-6", "ROOM-1")
async def test_who_joins_while_the_room_is_closed_waits_no_more_once_it_is(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    anna = client("member", "anna")
    for _ in range(40):
        room_id = new_id()
        await harness.receive(opened(room_id, "anna"))
        closed = RoomClosed(room_id=room_id, member_id="anna", provider_id="doc", room_version=2, closed_at=NOW)
        joining = anna.post(f"/v1/rooms/{room_id}/waitlist", json=WANTED)
        answer, _ = await asyncio.gather(joining, harness.receive(closed))
        assert answer.status_code in (201, 409)
    assert await harness.value("SELECT count(*) FROM waitlist WHERE status IN ('waiting', 'offered')") == 0


@pytest.mark.rule("AVAIL-6", "ROOM-1")
async def test_who_joins_right_after_the_restart_waits_for_its_news(
    harness: AvailabilityHarness, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await full_morning(harness)
    anna: dict[str, Any] = {"room_id": ANNA, "member_id": "anna", "provider_id": "doc"}
    await harness.receive(RoomClosed(**anna, room_version=2, closed_at=NOW))
    find = rooms.find
    seen = []

    async def look(*args: Any, **kwargs: Any) -> rooms.Room | None:
        found = await find(*args, **kwargs)
        seen.append(found)
        if len(seen) == 1:  # the first look was too early
            await harness.receive(RoomRestarted(**anna, room_version=3, restarted_at=NOW))
        return found

    monkeypatch.setattr(rooms, "find", look)
    answer = await client("member", "anna").post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED)
    assert (answer.status_code, answer.json()["status"]) == (201, "waiting"), answer.text
    assert [room is not None and room.active for room in seen] == [False, True, True]
