"""Policies are versioned, and a session keeps the one that it was booked under (BOOK-3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast


@pytest.mark.rule("BOOK-3", "CANC-1")
async def test_a_new_policy_changes_no_session_that_is_booked(cast: Cast) -> None:
    ops = cast.platform.person("ops", "ops-of-policies")
    before = await cast.confirmed(timedelta(hours=30))
    old = await ops.get("/v1/policies/current")
    made = await ops.post("/v1/policies", {"notice_hours": 24})
    try:
        assert (made["version"], made["notice_hours"]) == (old["version"] + 1, 24)
        assert "24 hours" in made["text"]
        assert (await cast.member.get("/v1/policies/current"))["version"] == made["version"]
        after = await cast.confirmed(timedelta(hours=32))
        assert (before["policy"]["version"], after["policy"]["version"]) == (old["version"], made["version"])
        await cast.platform.advance(timedelta(minutes=16))  # past the time to cool off
        # Both start in more than 24 and less than 48 hours; each is judged by its own.
        with pytest.raises(Refused) as refusal:
            await cast.member.post(f"/v1/sessions/{before['id']}/cancel", wait=15)
        assert refusal.value.slug == "forfeit-not-accepted"
        free = await cast.member.get(f"/v1/sessions/{after['id']}/policy")
        assert datetime.fromisoformat(after["starts_at"]) - datetime.fromisoformat(free["free_until"]) == timedelta(
            hours=24
        )
        cancelled = await cast.member.post(f"/v1/sessions/{after['id']}/cancel", wait=15)
        assert cancelled["credit"]["state"] == "returned"
    finally:
        # Every other story is played under the numbers that stood before.
        again = await ops.post("/v1/policies", {"notice_hours": old["notice_hours"]})
    assert again["notice_hours"] == 48
    versions = [policy["version"] for policy in (await ops.get("/v1/policies", limit=200))["items"]]
    assert versions == sorted(versions, reverse=True)
    assert {old["version"], made["version"], again["version"]} <= set(versions)
