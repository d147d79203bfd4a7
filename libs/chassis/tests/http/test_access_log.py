"""SEC-5: one row for each read and change of somebody's data: who, what, of whom, when, why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends, Response
from makegood_chassis.http import access_log
from makegood_chassis.http.access_log import AccessLog, access_rows, prune
from makegood_chassis.http.answers import answer
from makegood_chassis.http.app import create_app
from makegood_chassis.http.changes import Change, changes
from makegood_chassis.http.problems import Problem
from makegood_chassis.http.rights import Access, Grant, operation
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.revocation import SCHEMA as REVOCATIONS
from makegood_chassis.service import Service

from .conftest import Identity, Make, serving

RIGHTS = {
    "diary.read": (Grant("member", "self"), Grant("support")),
    "diary.write": (Grant("support"),),
    **access_log.RIGHTS,
}
Log = Annotated[AccessLog, Depends(access_log.access_log)]


def diaries(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/diaries/{person_id}")
    async def read(person_id: str, log: Log, access: Annotated[Access, Depends(operation("diary.read"))]) -> Response:
        role = access.require("diary", person_id=person_id)
        async with service.database.reading() as queries:
            await log.record(queries, access, role, person_id)
        return answer(200, {})

    @router.put("/v1/diaries/{person_id}")
    async def write(
        person_id: str,
        log: Log,
        access: Annotated[Access, Depends(operation("diary.write"))],
        change: Annotated[Change, Depends(changes(if_match="none"))],
    ) -> Response:
        async with change.unit() as unit:
            await log.record(unit, access, None, person_id, "bob", entity="diary:1")
            if person_id == "refused":
                raise Problem("session-over")
            return change.answer(200, {})

    return router


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA + REVOCATIONS + access_log.SCHEMA)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def service(make_service: Make, database_factory: Any) -> AsyncIterator[Service]:
    made = make_service(await database_factory("diaries", _tables))
    await made.database.open()
    yield made
    await made.database.close()


@pytest_asyncio.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        service, title="Diaries", description="-", routers=[diaries(service), access_rows(service)], rights=RIGHTS
    )
    async with serving(app) as made:
        yield made


async def rows(client: httpx.AsyncClient, identity: Identity, person: str = "anna", more: str = "") -> Any:
    headers = identity.bearer("support-2", "support")
    found = await client.get(f"/v1/notes/access?person_id={person}{more}", headers=headers)
    assert found.status_code == 200, found.text
    return found.json()


@pytest.mark.rule("SEC-5")
async def test_each_access_leaves_one_row_with_who_what_when_and_why(
    client: httpx.AsyncClient, identity: Identity
) -> None:
    await client.get("/v1/diaries/anna", headers=identity.bearer("anna") | {"X-Request-Id": "r-1"})
    support = identity.bearer("support-1", "support")
    await client.get("/v1/diaries/anna", headers=support | {"X-Access-Reason": "ticket 4711"})
    await client.put("/v1/diaries/anna", headers=support, json={})
    items = (await rows(client, identity))["items"]
    told = [[row[name] for name in ("caller", "role", "operation", "entity", "reason")] for row in items]
    assert told == [
        ["support-1", "support", "diary.write", "diary:1", "diary.write"],
        ["support-1", "support", "diary.read", None, "ticket 4711"],
        ["anna", "member", "diary.read", None, "diary.read"],
    ]
    assert {row["person_id"] for row in items} == {"anna"}
    assert items[2]["request_id"] == "r-1"
    assert items[0]["at"] >= items[1]["at"] >= items[2]["at"]
    (looked, *_) = (await rows(client, identity))["items"]
    assert (looked["caller"], looked["operation"]) == ("support-2", "access.read")
    assert [row["entity"] for row in (await rows(client, identity, "bob"))["items"]] == ["diary:1"]


@pytest.mark.rule("SEC-5")
async def test_what_was_refused_or_rolled_back_leaves_none(client: httpx.AsyncClient, identity: Identity) -> None:
    assert (await client.get("/v1/diaries/anna", headers=identity.bearer("bert"))).status_code == 404
    assert (await client.put("/v1/diaries/anna", headers=identity.bearer("anna"), json={})).status_code == 403
    support = identity.bearer("support-1", "support")
    assert (await client.put("/v1/diaries/refused", headers=support, json={})).status_code == 409
    too_long = support | {"X-Access-Reason": "x" * 201}
    assert (await client.get("/v1/diaries/anna", headers=too_long)).status_code == 422
    for person in ("anna", "refused", "bob"):
        assert (await rows(client, identity, person))["items"] == []


@pytest.mark.rule("SEC-1", "SEC-5")
async def test_support_alone_reads_the_rows_page_by_page(client: httpx.AsyncClient, identity: Identity) -> None:
    for role in ("member", "provider", "ops"):
        refused = await client.get("/v1/notes/access?person_id=anna", headers=identity.bearer("anna", role))
        assert refused.status_code == 403
    support = identity.bearer("support-1", "support")
    for number in range(5):
        await client.get("/v1/diaries/anna", headers=support | {"X-Access-Reason": str(number)})
    seen: list[str] = []
    more = "&limit=2"
    while True:
        found = await rows(client, identity, more=more)
        seen += [row["reason"] for row in found["items"]]
        if found["next_cursor"] is None:
            break
        more = f"&limit=2&cursor={found['next_cursor']}"
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.rule("SEC-5")
async def test_rows_are_never_changed_and_forgotten_after_the_retention(service: Service) -> None:
    async with service.database.reading() as queries:
        for age in (1, 400):
            await queries.execute(
                "INSERT INTO access_rows (at, caller, role, operation, person_id, reason, request_id) "
                "VALUES (now() - $1 * interval '1 day', 'c', 'support', 'o', 'anna', 'r', 'i')",
                age,
            )
        with pytest.raises(asyncpg.RestrictViolationError):
            await queries.execute("UPDATE access_rows SET reason = 'better'")
    assert await prune(service.database, timedelta(days=365)) == 1
    async with service.database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM access_rows") == 1
