"""Remarks and notes at rest: sealed, also those of an older version, and gone with the person."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_booking.store import personal_data
from makegood_chassis.personal_data.maintenance import seal_all
from makegood_contracts.events import PersonErased

from .examples import HOUR, NOW, START
from .harness import BookingHarness
from .test_api_outcomes import details, missed

STEPS = (personal_data.seal_remarks, personal_data.seal_notes)


async def rows(harness: BookingHarness) -> str:
    async with harness.service.database.reading() as queries:
        found: list[Any] = []
        for table in ("session_remarks", "session_notes", "idempotency_keys"):
            found += [tuple(row) for row in await queries.fetch(f"SELECT * FROM {table}")]
    return repr(found)


async def said(harness: BookingHarness) -> tuple[Any, Any]:
    disputed, cancelled = await missed(harness), await harness.confirmed(START + 96 * HOUR)
    await harness.member.post(
        f"/v1/sessions/{disputed['id']}/dispute", json={"claim": "i_was_there", "note": "canary A"}
    )
    body = {"outcome": "completed", "reason": "canary B"}
    await harness.support.post(f"/v1/sessions/{disputed['id']}/correct", json=body)
    await harness.provider.post(f"/v1/sessions/{cancelled['id']}/cancel", json={"remark": "canary C"})
    return disputed, cancelled


@pytest.mark.rule("SEC-3", "MISS-5")
async def test_words_are_sealed_and_read_by_whom_they_are_for(harness: BookingHarness) -> None:
    disputed, cancelled = await said(harness)
    assert "canary" not in await rows(harness)
    assert "canary A" in repr(await details(harness, disputed, "member", "anna"))
    assert "canary B" in repr(await details(harness, disputed, "provider", "dr-lee"))
    assert "canary C" in repr(await details(harness, cancelled, "member", "anna"))


@pytest.mark.rule("SEC-3")
async def test_words_of_an_older_version_are_sealed_by_the_worker_and_read_as_before(harness: BookingHarness) -> None:
    disputed, cancelled = await said(harness)
    async with harness.service.database.reading() as queries:
        await queries.execute("UPDATE session_remarks SET author = NULL, sealed = NULL, remark = 'old canary'")
        await queries.execute("UPDATE session_notes SET person_id = NULL, sealed = NULL, note = 'old canary'")
    before = [await details(harness, session, "member", "anna") for session in (disputed, cancelled)]
    assert repr(before).count("old canary") == 3
    assert await seal_all(harness.service, STEPS) == 3
    assert await seal_all(harness.service, STEPS) == 0
    assert "canary" not in await rows(harness)
    assert [await details(harness, session, "member", "anna") for session in (disputed, cancelled)] == before
    await harness.handle(PersonErased(person_id="anna", erased_at=NOW), PersonErased(person_id="dr-lee", erased_at=NOW))
    assert "canary" not in repr(
        [await details(harness, session, "member", "anna") for session in (disputed, cancelled)]
    )
