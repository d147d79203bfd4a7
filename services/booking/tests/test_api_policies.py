"""Versions of the policy: read by everybody, made by ops, never changing what is booked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from makegood_contracts.events import PolicyChanged, SessionRequested
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, START
from .harness import BookingHarness


@pytest.mark.rule("BOOK-3")
async def test_ops_make_a_new_version_out_of_the_current_one(harness: BookingHarness) -> None:
    ops = harness.client("ops", "olga")
    before = (await harness.member.get("/v1/policies/current")).json()
    made = await ops.post("/v1/policies", json={"notice_hours": 24, "reminder_hours": [48, 2]})
    assert (made.status_code, made.headers["etag"], made.headers["location"]) == (201, '"2"', "/v1/policies/current")
    expected = {**before, "version": 2, "notice_hours": 24, "reminder_hours": [48, 2]}
    assert {**made.json(), "text": ""} == {**expected, "text": ""}
    assert "Cancel 24 hours" in made.json()["text"]
    assert (await harness.member.get("/v1/policies/current")).json() == made.json()
    listed = (await ops.get("/v1/policies", params={"limit": 1})).json()
    assert [item["version"] for item in listed["items"]] == [2]
    rest = (await ops.get("/v1/policies", params={"cursor": listed["next_cursor"]})).json()
    assert (rest["items"], rest["next_cursor"]) == ([before], None)
    (told,) = await harness.outbox()
    assert isinstance(told, PolicyChanged)
    assert (told.policy_version, told.notice_hours, told.offer_minutes) == (2, 24, 120)
    same = await ops.post("/v1/policies", json={"notice_hours": 24})
    assert (same.status_code, same.json()) == (200, made.json())
    assert await harness.outbox() == []


@pytest.mark.rule("CANC-1", "MISS-1", "BOOK-3")
async def test_a_new_policy_changes_no_session_that_is_booked(harness: BookingHarness) -> None:
    old = await harness.confirmed()
    changed = {"notice_hours": 0, "grace_minutes": 15, "confirm_hours": 12, "join_minutes": 60, "reconfirm_hours": 10}
    await harness.client("ops", "olga").post("/v1/policies", json=changed)
    new = await harness.confirmed(START + 4 * HOUR)
    assert (await harness.read(old)) == old
    assert (old["policy"]["version"], new["policy"]["version"]) == (1, 2)
    assert new["confirm_by"] == "2026-11-27T01:00:00Z"
    assert names(await harness.advance(START - 47 * HOUR)) == ["ReconfirmationAsked"]
    forfeits = [
        (await harness.member.get(f"/v1/sessions/{session['id']}/policy")).json()["forfeits_now"]
        for session in (old, new)
    ]
    assert forfeits == [True, False]
    assert sorted(names(await harness.advance(START + 10 * MINUTE))) == ["ProviderMissed", "ReconfirmationAsked"]
    assert names(await harness.advance(START + 4 * HOUR + 14 * MINUTE)) == []
    assert names(await harness.advance(START + 4 * HOUR + 15 * MINUTE)) == ["ProviderMissed"]


@pytest.mark.rule("CRED-7")
async def test_a_session_is_asked_for_with_the_days_that_its_own_policy_gives_for_the_co_pay(
    harness: BookingHarness,
) -> None:
    await harness.ask()
    await harness.client("ops", "olga").post("/v1/policies", json={"co_pay_due_days": 3})
    await harness.ask(START + 4 * HOUR)
    asked = [event for event in await harness.outbox() if isinstance(event, SessionRequested)]
    assert [(event.policy_version, event.co_pay_due_days) for event in asked] == [(1, 14), (2, 3)]


@pytest.mark.parametrize(
    "body",
    [
        {"short_notice_hours": 24},
        {"no_show_minutes": 9},
        {"hold_minutes": 10},
        {"reminder_hours": [1, 1]},
        {"reminder_hours": [0]},
        {"longest_minutes": 4},
        {"notice_hours": -1},
        {"notice_hours": "24"},
        {"notice_hours": 10_001},
        {"version": 7},
        {"id": "Not A Name"},
    ],
)
async def test_numbers_that_contradict_each_other_are_refused(harness: BookingHarness, body: Any) -> None:
    answer = await harness.client("ops", "olga").post("/v1/policies", json=body)
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert (await harness.member.get("/v1/policies/current")).json()["version"] == 1


@pytest.mark.rule("SEC-1")
async def test_everybody_reads_the_current_policy_and_ops_alone_the_others_and_change_them(
    harness: BookingHarness,
) -> None:
    for person in (harness.member, harness.provider, harness.support):
        assert (await person.get("/v1/policies/current")).status_code == 200
        assert (await person.get("/v1/policies")).status_code == 403
        answer = await person.post("/v1/policies", json={"notice_hours": 24})
        assert (answer.status_code, slug(answer)) == (403, "forbidden")


async def test_two_changes_at_once_make_two_versions_and_a_stale_one_none(harness: BookingHarness) -> None:
    ops = harness.client("ops", "olga")
    answers = await asyncio.gather(
        *(
            ops.post("/v1/policies", json={"notice_hours": hours}, headers={"Idempotency-Key": new_id()})
            for hours in (1, 2)
        )
    )
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3]
    stale = await ops.post("/v1/policies", json={"notice_hours": 3}, headers={"If-Match": '"2"'})
    assert (stale.status_code, slug(stale)) == (412, "version-mismatch")
