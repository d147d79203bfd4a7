"""Schedules, time off, venues and searches over HTTP: who may, what is kept, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from makegood_contracts.events import SchedulePublished, TimeOffAdded, TimeOffRemoved
from makegood_contracts.ids import new_id

from .harness import NOW, AvailabilityHarness, at, body

Client = Callable[[str, str], httpx.AsyncClient]
SCHEDULE = "/v1/providers/doc/schedule"
TIME_OFF = "/v1/providers/doc/time-off"
SLOTS = "/v1/providers/doc/slots"
OFF = {"starts_at": "2027-01-05T11:00:00+01:00", "ends_at": "2027-01-05T12:00:00Z", "note": "dentist"}
QUERY: dict[str, Any] = {
    "from": at(9).isoformat(),
    "to": at(12).isoformat(),
    "length_minutes": 30,
    "modality": "video",
}


@pytest.mark.rule("AVAIL-1")
async def test_a_schedule_is_kept_as_sent_and_published_with_its_version(
    harness: AvailabilityHarness, client: Client
) -> None:
    doc = client("provider", "doc")
    wanted = {
        "time_zone": "Asia/Kathmandu",
        "weekly": [
            {"day": "monday", "from": "09:00", "to": "12:00"},
            {"day": "monday", "from": "12:00", "to": "24:00"},
        ],
        "exceptions": [{"date": "2027-02-01", "hours": []}],
        "session_types": [{"length_minutes": 45, "modalities": ["video"]}],
    }
    first = await doc.put(SCHEDULE, json=wanted)
    assert (first.status_code, first.headers["etag"]) == (201, '"1"')
    assert {**first.json(), **wanted} == first.json()
    second = await doc.put(SCHEDULE, json={**wanted, "specialty": "psychiatry"}, headers={"If-Match": '"1"'})
    assert (second.status_code, second.headers["etag"]) == (200, '"2"')
    stale = await doc.put(SCHEDULE, json=wanted, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/version-mismatch")
    read = await doc.get(SCHEDULE)
    assert read.json() == second.json()
    events = await harness.outbox()
    assert [e.schedule_version for e in events if isinstance(e, SchedulePublished)] == [1, 2]
    assert isinstance(events[1], SchedulePublished)
    assert (events[1].time_zone, events[1].specialty) == ("Asia/Kathmandu", "psychiatry")


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"weekly": [{"day": "monday", "from": "17:00", "to": "09:00"}]},
        {"weekly": [{"day": "monday", "from": "9:00", "to": "17:00"}]},
        {"weekly": [{"day": "monday", "from": "24:00", "to": "24:00"}]},
        {"weekly": [{"day": "funday", "from": "09:00", "to": "17:00"}]},
        {"weekly": [{"day": "monday", "from": f"{h:02d}:00", "to": f"{h:02d}:30"} for h in range(15)]},
        {
            "weekly": [
                {"day": "monday", "from": "09:00", "to": "12:00"},
                {"day": "monday", "from": "11:00", "to": "13:00"},
            ]
        },
        {"exceptions": [{"date": "2027-02-30", "hours": []}]},
        {"exceptions": [{"date": "2027-02-01", "hours": []}] * 2},
        {"slot_step_minutes": 7},
        {"buffer_before_minutes": 241},
        {"buffer_after_minutes": -1},
        {"minimum_notice_minutes": 43201},
        {"horizon_days": 0},
        {"horizon_days": 366},
        {"session_types": []},
        {"session_types": [{"length_minutes": 481, "modalities": ["video"]}]},
        {"session_types": [{"length_minutes": 45, "modalities": ["carrier pigeon"]}]},
        {"session_types": [{"length_minutes": 45, "modalities": ["video"]}] * 2},
        {"specialty": "astrology"},
        {"surprise": True},
        {"exceptions": [{"date": 20000, "hours": []}]},
        {"exceptions": [{"date": "2026-12-24T00:00:00", "hours": []}]},
        {"exceptions": [{"date": "20261224", "hours": []}]},
        {"buffer_before_minutes": True},
        {"buffer_after_minutes": "5"},
        {"minimum_notice_minutes": 30.0},
        {"horizon_days": "30"},
        {"slot_step_minutes": 15.0},
        {"slot_step_minutes": "15"},
        {"session_types": [{"length_minutes": 30.0, "modalities": ["video"]}]},
        {"session_types": [{"length_minutes": "30", "modalities": ["video"]}]},
    ],
)
@pytest.mark.rule("AVAIL-1")
async def test_a_schedule_that_cannot_be_is_refused_and_nothing_is_kept(
    harness: AvailabilityHarness, client: Client, wrong: dict[str, Any]
) -> None:
    answer = await client("provider", "doc").put(SCHEDULE, json=body(**wrong))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
    assert await harness.value("SELECT count(*) FROM schedules") == 0
    assert await harness.outbox() == []


@pytest.mark.rule("AVAIL-1")
async def test_time_off_is_not_offered_and_is_offered_again_when_taken_back(
    harness: AvailabilityHarness, client: Client
) -> None:
    doc, member = client("provider", "doc"), client("member", "anna")
    await doc.put(SCHEDULE, json=body())
    made = await doc.post(TIME_OFF, json=OFF)
    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "starts_at": "2027-01-05T10:00:00Z",
        "ends_at": "2027-01-05T12:00:00Z",
        "note": "dentist",
    }
    assert (await doc.get(TIME_OFF)).json() == {"items": [made.json()], "next_cursor": None}
    free = [item["starts_at"] for item in (await member.get(SLOTS, params=QUERY)).json()["items"]]
    assert free == [f"2027-01-05T09:{minute}:00Z" for minute in ("00", "15", "30")]
    gone = await doc.delete(f"{TIME_OFF}/{made.json()['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await doc.delete(f"{TIME_OFF}/{made.json()['id']}")).status_code == 404
    assert len((await member.get(SLOTS, params=QUERY)).json()["items"]) == 12
    events = await harness.outbox()
    assert [type(event) for event in events] == [SchedulePublished, TimeOffAdded, TimeOffRemoved]
    assert "dentist" not in repr(events)


@pytest.mark.rule("AVAIL-1")
async def test_time_off_that_is_over_is_refused(harness: AvailabilityHarness, client: Client) -> None:
    doc = client("provider", "doc")
    past = {"starts_at": (NOW - timedelta(days=2)).isoformat(), "ends_at": NOW.isoformat()}
    refused = await doc.post(TIME_OFF, json=past)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/ends_at")
    assert await harness.outbox() == []
    begun = await doc.post(TIME_OFF, json={**past, "ends_at": (NOW + timedelta(minutes=1)).isoformat()})
    assert begun.status_code == 201
    assert "location" not in begun.headers  # no address shows one entry


async def test_time_off_pages_by_start(client: Client) -> None:
    doc = client("provider", "doc")
    ids = [
        (
            await doc.post(
                TIME_OFF,
                json={
                    "starts_at": (NOW + timedelta(days=day)).isoformat(),
                    "ends_at": (NOW + timedelta(days=day + 1)).isoformat(),
                },
            )
        ).json()["id"]
        for day in (3, 1, 1, 2)
    ]
    first = (await doc.get(TIME_OFF, params={"limit": 3})).json()
    second = (await doc.get(TIME_OFF, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [ids[1], ids[2], ids[3], ids[0]]
    assert second["next_cursor"] is None


@pytest.mark.rule("BOOK-9")
async def test_a_repeated_change_with_one_key_has_one_effect(harness: AvailabilityHarness, client: Client) -> None:
    doc = client("provider", "doc")
    answers = [await doc.post(TIME_OFF, json=OFF, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await harness.value("SELECT count(*) FROM time_off") == 1
    assert len(await harness.outbox()) == 1


@pytest.mark.rule("SEC-1")
async def test_only_the_provider_and_support_see_and_change_schedules(client: Client) -> None:
    assert (await client("support", "sue").put(SCHEDULE, json=body())).status_code == 201
    assert (await client("support", "sue").post(TIME_OFF, json=OFF)).status_code == 201
    for role, subject, status in [("provider", "stranger", 404), ("member", "doc", 403), ("ops", "olga", 403)]:
        person = client(role, subject)
        answers = [
            await person.put(SCHEDULE, json=body()),
            await person.get(SCHEDULE),
            await person.post(TIME_OFF, json=OFF),
            await person.get(TIME_OFF),
            await person.delete(f"{TIME_OFF}/{new_id()}"),
        ]
        assert [answer.status_code for answer in answers] == [status] * 5


@pytest.mark.rule("SEC-1")
async def test_venues_are_made_by_ops_and_read_by_anyone_signed_in(client: Client) -> None:
    ops = client("ops", "olga")
    room = {"name": "  Room 4 ", "time_zone": "Europe/Berlin"}
    made = await ops.post("/v1/venues", json=room)
    assert (made.status_code, made.json()["name"], made.json()["weekly"]) == (201, "Room 4", None)
    path = made.headers["location"]
    hours = [{"day": "friday", "from": "08:00", "to": "24:00"}]
    changed = await ops.put(path, json={**room, "weekly": hours}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["weekly"], changed.headers["etag"]) == (200, hours, '"2"')
    assert (await ops.put(path, json=room, headers={"If-Match": '"1"'})).status_code == 412
    second = await ops.post("/v1/venues", json=room)
    for role in ("member", "provider", "support"):
        person = client(role, "p")
        assert (await person.get(path)).json() == changed.json()
        first_page = (await person.get("/v1/venues", params={"limit": 1})).json()
        rest = (await person.get("/v1/venues", params={"cursor": first_page["next_cursor"]})).json()
        assert first_page["items"] + rest["items"] == [changed.json(), second.json()]
        assert (await person.post("/v1/venues", json=room)).status_code == 403
        assert (await person.put(path, json=room)).status_code == 403
    assert (await ops.get(f"/v1/venues/{new_id()}")).status_code == 404
    for odd in ("nonsense", f"urn:uuid:{new_id()}", f"{{{new_id()}}}", "0197f000-0000-7000-8000-0000_0000_00"):
        assert (await ops.put(f"/v1/venues/{odd}", json=room)).status_code == 404
        assert (await ops.get(f"/v1/venues/{odd}")).status_code == 404
        assert (await client("provider", "doc").delete(f"{TIME_OFF}/{odd}")).status_code == 404


@pytest.mark.rule("AVAIL-2")
async def test_slots_are_shown_in_the_zone_asked_for_and_else_in_the_providers(client: Client) -> None:
    await client("provider", "doc").put(SCHEDULE, json=body(time_zone="America/New_York"))
    member = client("member", "anna")
    query = {**QUERY, "from": at(14).isoformat(), "to": at(14, 1).isoformat()}
    own = (await member.get(SLOTS, params=query)).json()["items"]
    assert own == [
        {"starts_at": "2027-01-05T14:00:00Z", "ends_at": "2027-01-05T14:30:00Z", "local_start": "2027-01-05T09:00"}
    ]
    far = (await member.get(SLOTS, params={**query, "time_zone": "Pacific/Chatham"})).json()["items"]
    assert far[0]["local_start"] == "2027-01-06T03:45"


@pytest.mark.rule("AVAIL-2")
async def test_a_search_goes_by_the_schedule_as_it_is_now_whichever_process_changed_it(
    harness: AvailabilityHarness, client: Client
) -> None:
    await client("provider", "doc").put(SCHEDULE, json=body(slot_step_minutes=30))
    member = client("member", "anna")

    async def count() -> int:
        return len((await member.get(SLOTS, params=QUERY)).json()["items"])

    assert (await count(), await count()) == (6, 6)
    change = "UPDATE schedules SET version = version + 1, body = "
    await harness.rows(f"{change} jsonb_set(body, '{{slot_step_minutes}}', '60')")
    assert (await count(), await count()) == (3, 3)
    await harness.rows(f"{change} NULL")
    assert await count() == 0


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"from": "2027-01-05T09:00:00"}, 422),
        ({"from": "yesterday"}, 422),
        ({"from": "0001-01-01T00:00:00+14:00"}, 422),
        ({"to": "2027-01-05T08:00:00Z"}, 422),
        ({"to": "2027-03-09T09:00:00Z"}, 422),
        ({"from": "9999-12-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, 200),
        ({"from": "0001-01-01T00:00:01Z", "to": "0001-01-02T00:00:00Z"}, 200),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, 422),
        ({"length_minutes": 0}, 422),
        ({"length_minutes": 481}, 422),
        ({"length_minutes": 45}, 200),
        ({"modality": "telepathy"}, 422),
        ({"modality": "in_person"}, 422),
        ({"modality": "in_person", "venue_id": "nonsense"}, 422),
        ({"modality": "in_person", "venue_id": "urn:uuid:0197f000-0000-7000-8000-000000000000"}, 422),
        ({"modality": "in_person", "venue_id": "0197f000-0000-7000-8000-0000_0000_00"}, 422),
        ({"modality": "in_person", "venue_id": "0197f000-0000-7000-8000-\uff10\uff10\uff10000000000"}, 422),
        ({"modality": "in_person", "venue_id": "0197f000-0000-7000-8000-000000000000"}, 404),
        ({"venue_id": "0197f000-0000-7000-8000-000000000000"}, 422),
        ({"time_zone": "Nowhere"}, 422),
        ({"limit": 201}, 422),
        ({"cursor": "nonsense"}, 422),
    ],
)
async def test_a_search_that_cannot_be_is_refused_clearly(client: Client, change: dict[str, Any], status: int) -> None:
    await client("provider", "doc").put(SCHEDULE, json=body())
    answer = await client("member", "anna").get(SLOTS, params={**QUERY, **change})
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json() == {"items": [], "next_cursor": None}


async def test_an_unknown_provider_is_not_found(client: Client) -> None:
    member = client("member", "anna")
    for provider in ("nobody", "a" * 129, "spaced out"):
        assert (await member.get(f"/v1/providers/{provider}/slots", params=QUERY)).status_code == 404
    await client("provider", "doc").post(TIME_OFF, json=OFF)
    known = await member.get(SLOTS, params=QUERY)
    assert (known.status_code, known.json()["items"]) == (200, [])
    assert (await client("provider", "doc").get(SCHEDULE)).status_code == 404
