"""Time off: what becomes of the sessions in it is said before it is taken (AVAIL-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from makegood_availability.store import schedules
from makegood_availability.store.schedules import seal_notes
from makegood_chassis.personal_data.maintenance import seal_all
from makegood_contracts.events import Event, PersonErased, SessionReserved, TimeOffAdded
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received
from makegood_testkit.waiting import eventually

from .harness import NOW, AvailabilityHarness, all_codes, at, body, later, move, request

Client = Callable[[str, str], httpx.AsyncClient]
TIME_OFF = "/v1/providers/doc/time-off"
OFF: dict[str, Any] = {"starts_at": at(10).isoformat(), "ends_at": at(12).isoformat(), "note": "dentist"}


async def _added(harness: AvailabilityHarness) -> TimeOffAdded:
    (event,) = [event for event in await harness.outbox() if isinstance(event, TimeOffAdded)]
    return event


@pytest.mark.rule("AVAIL-1", "SEC-5")
async def test_time_off_with_sessions_in_it_is_refused_until_it_is_said_what_becomes_of_them(
    harness: AvailabilityHarness, client: Client
) -> None:
    await harness.publish(buffer_after_minutes=15)
    before, touching, requested, inside, after = (
        request(at(9), member="a"),
        request(at(9, 45), member="b", provider="busy"),
        request(at(9, 45), member="c"),
        request(at(11, 30), member="d"),
        request(at(12, 30), member="e"),
    )
    await harness.publish("busy")
    assert all_codes(await harness.ask(before, touching, requested, inside, after)) == [[]] * 5
    await harness.receive(later(SessionReserved, inside, confirm_by=NOW))
    doc = client("provider", "doc")
    refused = await doc.post(TIME_OFF, json=OFF)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/sessions-in-time-off")
    assert refused.json()["reasons"][0]["code"] == "sessions-in-time-off"
    assert refused.json()["sessions"] == [
        {"session_id": requested.session_id, "starts_at": "2027-01-05T09:45:00Z", "ends_at": "2027-01-05T10:15:00Z"},
        {"session_id": inside.session_id, "starts_at": "2027-01-05T11:30:00Z", "ends_at": "2027-01-05T12:00:00Z"},
    ]
    assert (await doc.get(TIME_OFF)).json()["items"] == []
    assert await harness.outbox() == []
    assert await harness.value("SELECT count(*) FROM access_rows") == 0
    assert (await client("support", "sam").post(TIME_OFF, json=OFF)).json()["sessions"] == refused.json()["sessions"]
    async with harness.database.reading() as queries:
        seen = await queries.fetch("SELECT caller, operation, person_id, outcome, reason FROM access_rows")
    assert [tuple(row) for row in seen] == [("sam", "time-off.add", "doc", "shown", "support_request")]

    kept = await doc.post(TIME_OFF, json={**OFF, "sessions": "keep"})
    assert kept.status_code == 201
    assert (await _added(harness)).cancels == ()
    cancelled = await doc.post(TIME_OFF, json={**OFF, "sessions": "cancel"})
    assert cancelled.status_code == 201
    assert (await _added(harness)).cancels == (requested.session_id, inside.session_id)
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 5


async def test_what_is_kept_of_a_schedule_leaves_out_time_off_that_is_long_over(
    harness: AvailabilityHarness, client: Client
) -> None:
    await harness.publish()
    doc = client("provider", "doc")
    lunch, evening = ({"starts_at": at(hour).isoformat(), "ends_at": at(hour + 1).isoformat()} for hour in (12, 17))
    for off in (lunch, evening):
        assert (await doc.post(TIME_OFF, json=off)).status_code == 201
    harness.clock.moment = at(13) + timedelta(days=1)
    async with harness.database.transaction(CAUSE) as unit:
        kept = (await harness.dependencies.schedules.keep(unit, ["doc"]))["doc"]
    assert kept.time_off == [(at(17), at(18))]


async def _waits_or_ends(harness: AvailabilityHarness, task: asyncio.Task[Any]) -> None:
    """Until the task has ended, or its transaction waits for another one."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def waits_or_has_ended() -> bool:
        return task.done() or await harness.value(waiting) > 0

    await eventually(waits_or_has_ended)


@pytest.mark.rule("AVAIL-1")
@pytest.mark.parametrize("how", ["booked", "moved"])
async def test_a_session_that_is_being_held_while_time_off_is_entered_is_named(
    harness: AvailabilityHarness, client: Client, how: str
) -> None:
    await harness.publish()
    asked = request(at(10 if how == "booked" else 14))
    event: Event = asked
    if how == "moved":
        await harness.ask(asked)
        event = move(asked, at(10))
    async with harness.database.transaction(CAUSE) as unit:
        await harness.service.events[type(event)]([received(event)], unit)
        entering = asyncio.create_task(client("provider", "doc").post(TIME_OFF, json=OFF))
        await _waits_or_ends(harness, entering)
    refused = await entering
    assert refused.status_code == 409
    assert [session["session_id"] for session in refused.json()["sessions"]] == [asked.session_id]


@pytest.mark.rule("AVAIL-1")
async def test_time_off_that_is_being_entered_while_a_session_is_asked_for_is_kept(
    harness: AvailabilityHarness,
) -> None:
    await harness.publish()
    async with harness.database.transaction(CAUSE) as unit:
        assert await schedules.lock(unit, "doc") is not None
        await schedules.touch(unit, "doc")
        await schedules.add_time_off(unit, "doc", schedules.TimeOff(new_id(), at(10), at(12), None))
        asking = asyncio.create_task(harness.ask(request(at(10)), request(at(13), member="b")))
        await _waits_or_ends(harness, asking)
    assert all_codes(await asking) == [["slot-not-offered"], []]


@pytest.mark.rule("AVAIL-1")
async def test_of_many_sessions_in_it_the_first_hundred_are_named_with_their_number_and_all_are_cancelled(
    harness: AvailabilityHarness, client: Client
) -> None:
    hours = [{"day": "tuesday", "from": "00:00", "to": "24:00"}]
    await harness.publish(
        weekly=hours, session_types=[{"length_minutes": 5, "modalities": ["video"]}], slot_step_minutes=5
    )
    asked = [request(at(number // 12, number % 12 * 5), 5, member=f"m{number}") for number in range(102)]
    assert all_codes(await harness.ask(*asked)) == [[]] * 102
    doc = client("provider", "doc")
    off = {"starts_at": at(0).isoformat(), "ends_at": at(23).isoformat()}
    refused = (await doc.post(TIME_OFF, json=off)).json()
    assert [session["session_id"] for session in refused["sessions"]] == [each.session_id for each in asked[:100]]
    assert refused["session_count"] == 102
    assert (await doc.post(TIME_OFF, json={**off, "sessions": "cancel"})).status_code == 201
    assert (await _added(harness)).cancels == tuple(each.session_id for each in asked)


@pytest.mark.rule("AVAIL-1")
@pytest.mark.parametrize(
    "wrong", [{"starts_at": "0001-01-01T00:00:00Z"}, {"ends_at": "9999-12-31T23:59:59.999999Z"}], ids=["first", "last"]
)
async def test_the_first_and_the_last_of_all_instants_which_the_database_reads_as_infinite_are_refused(
    harness: AvailabilityHarness, client: Client, wrong: dict[str, str]
) -> None:
    await harness.publish()
    doc = client("provider", "doc")
    assert (await doc.post(TIME_OFF, json=OFF | wrong)).status_code == 422
    nearly = OFF | {"starts_at": "0001-01-01T00:00:01Z", "ends_at": "9999-12-31T23:59:59Z"}
    assert (await doc.post(TIME_OFF, json=nearly)).status_code == 201
    asked = {"from": at(9).isoformat(), "to": at(17).isoformat(), "length_minutes": "30", "modality": "video"}
    found = await doc.get("/v1/providers/doc/slots", params=asked)
    assert (found.status_code, found.json()["items"]) == (200, [])


@pytest.mark.rule("AVAIL-1")
async def test_a_session_that_has_begun_goes_on_and_is_not_asked_about(
    harness: AvailabilityHarness, client: Client
) -> None:
    await harness.publish()
    await harness.ask(request(at(10)))
    harness.clock.moment = at(10)
    assert (await client("provider", "doc").post(TIME_OFF, json=OFF)).status_code == 201
    assert (await _added(harness)).cancels == ()


@pytest.mark.rule("AVAIL-1")
@pytest.mark.parametrize("choice", ["cancel", "keep"])
async def test_where_no_session_lies_in_it_the_choice_changes_nothing(
    harness: AvailabilityHarness, client: Client, choice: str
) -> None:
    await client("provider", "doc").put("/v1/providers/doc/schedule", json=body())
    added = await client("support", "sam").post(TIME_OFF, json={**OFF, "sessions": choice})
    assert added.status_code == 201
    assert (await _added(harness)).cancels == ()
    wrong = await client("provider", "doc").post(TIME_OFF, json={**OFF, "sessions": "move"})
    assert wrong.status_code == 422


async def test_the_notes_of_a_person_who_was_erased_are_erased_and_the_time_off_stays(
    harness: AvailabilityHarness, client: Client
) -> None:
    doc, other = client("provider", "doc"), client("provider", "other")
    await doc.post(TIME_OFF, json=OFF, headers={"Idempotency-Key": "kept"})
    await other.post("/v1/providers/other/time-off", json=OFF)
    await harness.outbox()
    kept = "SELECT count(*) FROM idempotency_keys WHERE sealed_for = 'doc'"
    assert await harness.value(kept) == 1
    assert await harness.receive(PersonErased(person_id="doc", erased_at=NOW)) == []
    (mine,) = (await doc.get(TIME_OFF)).json()["items"]
    (theirs,) = (await other.get("/v1/providers/other/time-off")).json()["items"]
    assert (mine["note"], mine["starts_at"], theirs["note"]) == (None, "2027-01-05T10:00:00Z", "dentist")
    assert await harness.value(kept) == 0


@pytest.mark.rule("SEC-3")
async def test_a_note_of_an_older_version_is_sealed_by_the_worker(harness: AvailabilityHarness, client: Client) -> None:
    doc = client("provider", "doc")
    await doc.post(TIME_OFF, json=OFF)
    in_the_clear = "SELECT count(*) FROM time_off WHERE note IS NOT NULL OR position('dentist'::bytea IN sealed) > 0"
    assert await harness.value(in_the_clear) == 0
    await harness.value("UPDATE time_off SET sealed = NULL, note = 'dentist'")
    before = (await doc.get(TIME_OFF)).json()
    assert await seal_all(harness.service, [seal_notes]) == 1
    assert await harness.value(in_the_clear) == 0
    assert (await doc.get(TIME_OFF)).json() == before
    assert before["items"][0]["note"] == "dentist"
