"""What support writes: beside the ledger, sealed, and gone with its member; the ledger stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.events import EnrolmentEnded, LotExpiryChanged, PersonErased
from makegood_credits.store import personal_data

from .credit_api import Api
from .credit_building import NOW
from .test_two_people import propose

ENTRIES = "SELECT id, kind, amount, reason, made_by, made_at, available_after FROM ledger_entries ORDER BY number"


async def fetch(api: Api, sql: str) -> list[tuple[object, ...]]:
    async with api.harness.database.reading() as queries:
        return [tuple(row) for row in await queries.fetch(sql)]


@pytest.mark.rule("CRED-5", "SEC-3")
async def test_a_reason_is_read_by_member_and_support_and_kept_sealed_beside_the_ledger(api: Api) -> None:
    await api.adjust({"amount": 2, "reason": "canary of support"}, key="kept")
    again = await api.adjust({"amount": 2, "reason": "canary of support"}, key="kept")
    assert again.json()["entries"][0]["reason"] == "canary of support"
    assert (await api.own("/ledger"))["items"][0]["reason"] == "canary of support"
    assert [row[3] for row in await fetch(api, ENTRIES)] == ["Made by support."]
    await propose(api)
    for table in ("ledger_entries", "support_reasons", "adjustment_proposals", "idempotency_keys"):
        assert "canary" not in repr(await fetch(api, f"SELECT * FROM {table}")), table
    assert "Goodwill" not in repr(await fetch(api, "SELECT * FROM adjustment_proposals"))


@pytest.mark.rule("CRED-1", "SEC-3")
async def test_an_erasure_takes_the_reason_and_leaves_the_ledger(api: Api) -> None:
    await api.adjust({"amount": 2, "reason": "canary of support"})
    before = await fetch(api, ENTRIES)
    async with api.harness.database.transaction(Cause("erasure", "erasure")) as unit:
        await personal_data.erase(unit, ["member-1"])
    assert (await api.own("/ledger"))["items"][0]["reason"] == "Made by support."
    assert await fetch(api, ENTRIES) == before
    assert await fetch(api, "SELECT * FROM support_reasons") == []
    assert await fetch(api, "SELECT * FROM personal_keys") == []


@pytest.mark.rule("NOTE-5", "PLAN-1")
async def test_an_erased_members_coverage_ends_with_the_day_and_nothing_more_is_granted(api: Api) -> None:
    harness = api.harness
    await harness.enrol("member-1", "out-of-pocket-4")
    await harness.handle(
        PersonErased(person_id="member-1", erased_at=NOW), PersonErased(person_id="provider-1", erased_at=NOW)
    )
    (ended,) = await harness.published(EnrolmentEnded)
    assert (ended.member_id, ended.ended_on) == ("member-1", NOW.date())
    (lapses,) = await harness.published(LotExpiryChanged)
    assert lapses.expires_at == datetime(2026, 11, 24, tzinfo=UTC)
    await harness.move_to(datetime(2027, 3, 1, tzinfo=UTC))
    assert await harness.ledger() == [("grant", 4), ("expire", 4)]
    await harness.handle(PersonErased(person_id="member-1", erased_at=NOW))
    assert len(await harness.published(EnrolmentEnded)) == 1
    assert await harness.imbalances() == []


@pytest.mark.rule("REL-4", "SEC-3")
async def test_a_request_from_before_an_erasure_does_not_happen_again(api: Api) -> None:
    first = await api.adjust({"amount": 2, "reason": "canary of support"}, key="kept")
    async with api.harness.database.transaction(Cause("erasure", "erasure")) as unit:
        await personal_data.erase(unit, ["member-1"])
    again = await api.adjust({"amount": 2, "reason": "canary of support"}, key="kept")
    other = await api.adjust({"amount": 3, "reason": "canary of support"}, key="kept")
    assert (first.status_code, again.status_code, other.status_code) == (201, 404, 422)
    assert "erased" in again.json()["detail"]
    assert [row[2] for row in await fetch(api, ENTRIES)] == [2]
    kept = "SELECT caller, key, status, headers, body, sealed_for FROM idempotency_keys"
    assert await fetch(api, kept) == [("support-1", "kept", 201, None, None, None)]


@pytest.mark.rule("SEC-3")
async def test_a_reason_of_an_older_version_is_sealed_by_the_worker(api: Api) -> None:
    await api.adjust({"amount": 2, "reason": "Goodwill"})
    async with api.harness.database.transaction(Cause("old", "old")) as unit:
        await unit.execute("UPDATE support_reasons SET sealed = NULL, reason = 'old canary'")
    assert (await api.own("/ledger"))["items"][0]["reason"] == "old canary"

    async def seal(unit: UnitOfWork) -> int:
        return await personal_data.seal_reasons(unit, 10)

    async with api.harness.database.transaction(Cause("seal", "seal")) as unit:
        assert (await seal(unit), await seal(unit)) == (1, 0)
    assert (await api.own("/ledger"))["items"][0]["reason"] == "old canary"
    assert "canary" not in repr(await fetch(api, "SELECT * FROM support_reasons"))
