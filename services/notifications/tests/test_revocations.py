"""SEC-2: ops end a person's sessions; the order is kept, told to the other services, and counts here at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from makegood_notifications.store import personal_data
from makegood_testkit.service import received

from .conftest import NotificationsHarness

pytestmark = pytest.mark.rule("SEC-2")

REASON = "lost telephone, canary"


async def test_the_order_is_kept_told_and_counts(harness: NotificationsHarness) -> None:
    path = f"/v1/people/{harness.member}/revocations"
    harness.clock.moment += timedelta(days=400)
    ops = harness.client("ops", "ops-1")
    first = await ops.post(path, json={"jti": "one-token", "reason": REASON}, headers={"Idempotency-Key": "k"})
    again = await ops.post(path, json={"jti": "one-token", "reason": REASON}, headers={"Idempotency-Key": "k"})
    second = await ops.post(path, json={"reason": REASON})
    assert (first.status_code, second.status_code) == (201, 201), first.text
    assert again.json() == first.json()
    body = second.json()
    assert {name: body[name] for name in ("person_id", "jti", "reason", "made_by")} == {
        "person_id": harness.member, "jti": None, "reason": REASON, "made_by": "ops-1",
    }  # fmt: skip
    # Tokens live in real time, wherever the product's clock stands.
    assert abs(datetime.fromisoformat(body["revoked_at"]) - datetime.now(UTC)) < timedelta(minutes=1)

    events = await harness.rows(
        "SELECT topic, key, headers, payload FROM outbox WHERE topic LIKE '%people%' ORDER BY id"
    )
    assert [(row["topic"], row["key"]) for row in events] == [("notifications.people.v1", harness.member)] * 2
    assert [dict(json.loads(row["headers"]))["ce_sequence"] for row in events] == ["1", "2"]
    assert [json.loads(row["payload"])["jti"] for row in events] == ["one-token", None]
    assert not any(b"canary" in row["payload"] for row in events)

    kept = await harness.rows("SELECT person_id, jti FROM revoked_tokens ORDER BY jti")
    assert [tuple(row) for row in kept] == [(harness.member, ""), (harness.member, "one-token")]
    await harness.service.revocations.load(harness.database)
    revocations, at = harness.service.revocations, datetime.fromisoformat(body["revoked_at"]).timestamp()
    assert revocations.refuses(harness.member, "any", at - 1)
    assert not revocations.refuses(harness.member, "any", at + 1)
    assert revocations.refuses(harness.member, "one-token", at + 1)
    accesses = await harness.rows(
        "SELECT operation, person_id FROM access_rows WHERE caller = 'ops-1' AND entity LIKE 'revocation:%'"
    )
    assert [tuple(row) for row in accesses] == [("person.revoke", harness.member)] * 2


async def test_ops_alone_give_and_read_orders_newest_first(harness: NotificationsHarness) -> None:
    path = f"/v1/people/{harness.member}/revocations"
    for subject, role in ((harness.member, "member"), (harness.provider, "provider"), ("support-1", "support")):
        client = harness.client(role, subject)
        assert (await client.post(path, json={"reason": REASON})).status_code == 403
        assert (await client.get(path)).status_code == 403
    ops = harness.client("ops", "ops-1")
    for jti in ("a", "b", "c"):
        assert (await ops.post(path, json={"jti": jti, "reason": REASON})).status_code == 201
    page = (await ops.get(path, params={"limit": 2})).json()
    assert [item["jti"] for item in page["items"]] == ["c", "b"]
    rest = (await ops.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [item["jti"] for item in rest["items"]] == ["a"]
    assert rest["next_cursor"] is None
    assert (await ops.get(f"/v1/people/{harness.provider}/revocations")).json()["items"] == []
    for wrong in ({}, {"reason": ""}, {"reason": "x", "jti": ""}, {"reason": "x", "jti": "a b"}):
        assert (await ops.post(path, json=wrong)).status_code == 422


async def test_an_erased_person_s_orders_keep_no_words(harness: NotificationsHarness) -> None:
    await harness.everybody()
    path = f"/v1/people/{harness.member}/revocations"
    ops = harness.client("ops", "ops-1")
    assert (await ops.post(path, json={"reason": REASON})).status_code == 201
    rows = await harness.rows("SELECT reason, sealed IS NOT NULL AS sealed FROM revocations")
    assert [(row["reason"], row["sealed"]) for row in rows] == [("", True)]
    async with harness.database.transaction(received(harness.missed()).cause) as unit:
        await personal_data.erase(unit, harness.member, unit.now, "person_asked", harness.member)
    rows = await harness.rows("SELECT reason, sealed FROM revocations")
    assert [tuple(row) for row in rows] == [("", None)]
