"""Remarks and notes at rest: sealed, also those of an older version, and gone with the person."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_booking.store import personal_data
from makegood_chassis.personal_data.maintenance import seal_all
from makegood_contracts.events import PersonErased

from .examples import HOUR, NOW, START
from .test_api_outcomes import details, missed
from .world import World

STEPS = (personal_data.seal_remarks, personal_data.seal_notes)


async def rows(world: World) -> str:
    async with world.service.database.reading() as queries:
        found: list[Any] = []
        for table in ("session_remarks", "session_notes", "idempotency_keys"):
            found += [tuple(row) for row in await queries.fetch(f"SELECT * FROM {table}")]
    return repr(found)


async def said(world: World) -> tuple[Any, Any]:
    disputed, cancelled = await missed(world), await world.confirmed(START + 96 * HOUR)
    await world.member.post(f"/v1/sessions/{disputed['id']}/dispute", json={"claim": "i_was_there", "note": "canary A"})
    body = {"outcome": "completed", "reason": "canary B"}
    await world.support.post(f"/v1/sessions/{disputed['id']}/correct", json=body)
    await world.provider.post(f"/v1/sessions/{cancelled['id']}/cancel", json={"remark": "canary C"})
    return disputed, cancelled


@pytest.mark.rule("SEC-3", "MISS-5")
async def test_words_are_sealed_and_read_by_whom_they_are_for(world: World) -> None:
    disputed, cancelled = await said(world)
    assert "canary" not in await rows(world)
    assert "canary A" in repr(await details(world, disputed, "member", "anna"))
    assert "canary B" in repr(await details(world, disputed, "provider", "dr-lee"))
    assert "canary C" in repr(await details(world, cancelled, "member", "anna"))


@pytest.mark.rule("SEC-3")
async def test_words_of_an_older_version_are_sealed_by_the_worker_and_read_as_before(world: World) -> None:
    disputed, cancelled = await said(world)
    async with world.service.database.reading() as queries:
        await queries.execute("UPDATE session_remarks SET author = NULL, sealed = NULL, remark = 'old canary'")
        await queries.execute("UPDATE session_notes SET person_id = NULL, sealed = NULL, note = 'old canary'")
    before = [await details(world, session, "member", "anna") for session in (disputed, cancelled)]
    assert repr(before).count("old canary") == 3
    assert await seal_all(world.service, STEPS) == 3
    assert await seal_all(world.service, STEPS) == 0
    assert "canary" not in await rows(world)
    assert [await details(world, session, "member", "anna") for session in (disputed, cancelled)] == before
    await world.handle(PersonErased(person_id="anna", erased_at=NOW), PersonErased(person_id="dr-lee", erased_at=NOW))
    assert "canary" not in repr([await details(world, session, "member", "anna") for session in (disputed, cancelled)])
