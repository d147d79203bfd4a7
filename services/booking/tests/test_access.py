"""SEC-5, SEC-7: the access log lives with the rights that the service's logins have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.access.pruning import prune
from makegood_chassis.access.sealer import seal_once
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database, Queries
from makegood_contracts.events import ACCESS_RECORDED
from makegood_testkit.databases import as_login, as_owner

from .harness import BookingHarness

RECORDED = ACCESS_RECORDED["booking"]


async def kept(harness: BookingHarness, table: str) -> list[Any]:
    async with harness.dependencies.database.reading() as queries:
        return [row[0] for row in await queries.fetch(f"SELECT count(*) FROM {table}")]


@pytest.mark.rule("SEC-5", "SEC-7")
async def test_the_service_seals_and_the_pruner_forgets_each_with_its_own_login(harness: BookingHarness) -> None:
    database = harness.dependencies.database
    async with as_owner(database.url) as owner:
        await owner.execute(
            "INSERT INTO access_rows (at, caller, role, operation, person_id, request_id) "
            "SELECT now() - interval '7 years', 'sue', 'support', 'session.read', 'anna', 'r' FROM generate_series(1, 3)"
        )
    assert await seal_once(database, RECORDED) == 3
    pruner = Database(as_login(database.url, "pruner"), Clock(), pool_size=1)
    await pruner.open()
    try:
        assert await prune(pruner, timedelta(days=365)) == 3
    finally:
        await pruner.close()
    assert await seal_once(database, RECORDED) == 1
    assert (await kept(harness, "access_rows"), await kept(harness, "access_seals")) == ([1], [2])
    async with database.reading() as queries:
        for statement in ("DELETE FROM access_rows", "DELETE FROM access_seals", "UPDATE access_seals SET hash = ''"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await queries.execute(statement)


@pytest.mark.rule("SEC-5")
async def test_an_erasure_takes_the_words_and_leaves_the_rows(harness: BookingHarness) -> None:
    room = await harness.room()
    answer = await harness.support.get(f"/v1/rooms/{room}", headers={"X-Access-Reason": "complaint; she called Anna"})
    assert answer.status_code == 200
    assert await kept(harness, "access_remarks") == [2], "about the two parties"
    rows = await kept(harness, "access_rows")
    async with harness.dependencies.database.reading() as queries:
        await erase_remarks(queries, ["anna"])
    assert await kept(harness, "access_remarks") == [0]
    assert await kept(harness, "access_rows") == rows


@pytest.mark.rule("SEC-5")
async def test_a_member_on_the_booking_path_costs_no_statement_of_the_access_log(
    harness: BookingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("fetch", "fetch_one", "fetch_value", "execute"):
        monkeypatch.setattr(Queries, name, _noting(getattr(Queries, name), asked))
    room = await harness.room()
    assert sum("access_rows" in text for text in asked) == 1, "support's"
    asked.clear()
    booked = await harness.member.post(
        "/v1/sessions", json=harness.booking_body(room), headers={"Idempotency-Key": "k"}
    )
    assert booked.status_code == 202
    session = f"/v1/sessions/{booked.json()['id']}"
    for path in (session, "/v1/sessions", f"{session}/history", f"{session}/policy", f"/v1/rooms/{room}/bookability"):
        assert (await harness.member.get(path)).status_code == 200
    assert (await harness.member.post(f"{session}/cancel", json={})).status_code == 202
    assert asked
    assert [text for text in asked if "access_" in text] == []
    await harness.provider.get(session)
    assert sum("access_rows" in text for text in asked) == 1
    await harness.provider.get("/v1/sessions")
    assert sum("access_rows" in text for text in asked) == 2, "one statement, however many people"


def _noting(method: Any, asked: list[str]) -> Any:
    async def noted(queries: Queries, statement: Any, *args: Any) -> Any:
        asked.append(str(statement))
        return await method(queries, statement, *args)

    return noted


@pytest.mark.rule("SEC-5")
async def test_what_support_is_refused_leaves_rows_whatever_refuses_it(harness: BookingHarness) -> None:
    """A 403 is a refusal; a rule or a version that is not the present one tells support how the session stands."""
    room = await harness.room()
    session = await harness.reserved()
    correction = {"outcome": "completed", "reason": "Both were there."}
    told = []
    for path, body, headers, status in (
        ("/v1/sessions", harness.booking_body(room, modality="audio"), {"Idempotency-Key": "k"}, 403),
        (f"/v1/sessions/{session['id']}/correct", correction, {}, 409),
        (f"/v1/sessions/{session['id']}/correct", correction, {"If-Match": '"99"'}, 412),
        (f"/v1/rooms/{room}/close", {}, {"If-Match": '"99"'}, 412),
    ):
        answer = await harness.support.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        async with harness.dependencies.database.reading() as queries:
            rows = await queries.fetch(
                "SELECT operation, person_id, outcome, times FROM access_rows WHERE request_id = $1 ORDER BY id",
                answer.headers["x-request-id"],
            )
        told += [tuple(row) for row in rows]
    assert told == [
        (operation, person, outcome, 1)
        for operation, outcome in (
            ("session.book", "refused"),
            ("session.correct", "shown"),
            ("session.correct", "shown"),
            ("room.close", "shown"),
        )
        for person in ("anna", "dr-lee")
    ]
