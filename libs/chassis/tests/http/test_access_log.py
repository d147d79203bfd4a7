"""SEC-5: one row for each read and change of somebody's data, and for each that was refused: who, what, of whom, when, why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends, Response
from makegood_chassis.access.reasons import CODES
from makegood_chassis.access.tables import CHAIN
from makegood_chassis.access.tables import SCHEMA as ACCESS_SCHEMA
from makegood_chassis.http import access_log
from makegood_chassis.http.access_log import AccessLog, access_rows
from makegood_chassis.http.answers import answer
from makegood_chassis.http.app import create_app
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.problems import Problem
from makegood_chassis.http.rights import AboutNobody, Access, Grant, operation
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA
from makegood_chassis.revocation import SCHEMA as REVOCATIONS
from makegood_chassis.service import Service
from makegood_testkit.identity import Identity

from .conftest import Make, serving

RIGHTS = {
    "diary.read": (Grant("member", "self"), Grant("support")),
    "diary.write": (Grant("support"),),
    "page.read": (Grant("member", "party"), Grant("provider", "party"), Grant("support")),
    "page.change": (Grant("member", "party"), Grant("provider", "party"), Grant("support")),
    "shelf.list": (Grant("support"),),
    "weather.read": AboutNobody((Grant("support"),)),
    **access_log.RIGHTS,
}
Log = Annotated[AccessLog, Depends(access_log.access_log)]
PAGE = "/v1/pages/019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80"
ABOUT = "page:019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80"


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
        mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    ) -> Response:
        async with mutation.unit() as unit:
            await log.record(unit, access, None, person_id, "bob", entity="diary:1")
            if person_id == "refused":
                raise Problem("session-over")
            return mutation.answer(200, {})

    @router.get("/v1/pages/{page_id}")
    async def page(page_id: str, access: Annotated[Access, Depends(operation("page.read"))]) -> Response:
        access.require("page", member_id="anna", provider_id="lee")
        return answer(200, {})

    @router.put("/v1/pages/{page_id}")
    async def turn(
        page_id: str,
        access: Annotated[Access, Depends(operation("page.change"))],
        mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
        fails: str | None = None,
    ) -> Response:
        async with mutation.unit() as unit:
            access.require("page", member_id="anna", provider_id="lee")
            await unit.execute("SELECT 1")
            if fails is not None:
                raise Problem(fails)
            return mutation.answer(200, {})

    @router.get("/v1/shelf")
    async def shelf(access: Annotated[Access, Depends(operation("shelf.list"))]) -> Response:
        return answer(200, {})

    @router.get("/v1/weather")
    async def weather(access: Annotated[Access, Depends(operation("weather.read"))]) -> Response:
        return answer(200, {})

    return router


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA + KEYS_SCHEMA + REVOCATIONS + ACCESS_SCHEMA + CHAIN)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def service(make_service: Make, database_factory: Any) -> AsyncIterator[Service]:
    made = make_service(await database_factory("diaries", _tables))
    made.access_retention = 86400.0
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
    headers = identity.bearer("auditor", "support") | {"X-Access-Reason": "audit"}
    found = await client.get(f"/v1/notes/access?person_id={person}{more}", headers=headers)
    assert found.status_code == 200, found.text
    return found.json()


async def written(service: Service, *columns: str) -> list[tuple[Any, ...]]:
    """The rows that there are, in their order."""
    async with service.database.reading() as queries:
        found = await queries.fetch(f"SELECT {', '.join(columns)} FROM access_rows ORDER BY id")
    return [tuple(row) for row in found]


def why(identity: Identity, reason: str, role: str = "support") -> dict[str, str]:
    return identity.bearer(f"{role}-1", role) | {"X-Access-Reason": reason}


@pytest.mark.rule("SEC-5")
async def test_each_access_leaves_one_row_with_who_what_when_and_why(
    client: httpx.AsyncClient, identity: Identity
) -> None:
    await client.get("/v1/diaries/anna", headers=identity.bearer("anna") | {"X-Request-Id": "r-1"})
    await client.get("/v1/diaries/anna", headers=why(identity, "complaint; ticket 4711"))
    await client.put("/v1/diaries/anna", headers=why(identity, "legal"), json={})
    items = (await rows(client, identity))["items"]
    told = [[row[name] for name in ("caller", "role", "operation", "entity", "outcome", "reason")] for row in items]
    assert told == [
        ["support-1", "support", "diary.write", "diary:1", "changed", "legal"],
        ["support-1", "support", "diary.read", None, "shown", "complaint"],
        ["anna", "member", "diary.read", None, "shown", None],
    ]
    assert [row["remark"] for row in items] == [None, "ticket 4711", None]
    assert {row["person_id"] for row in items} == {"anna"}
    assert items[2]["request_id"] == "r-1"
    assert items[0]["at"] >= items[1]["at"] >= items[2]["at"]
    (looked, *_) = (await rows(client, identity))["items"]
    assert (looked["caller"], looked["operation"], looked["reason"]) == ("auditor", "access.read", "audit")
    assert [row["entity"] for row in (await rows(client, identity, "bob"))["items"]] == ["diary:1"]


@pytest.mark.rule("SEC-5")
async def test_a_route_that_thinks_of_nothing_leaves_its_rows_too(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    """Whose thing it was is noted where the rights are judged; what is the caller's own leaves no row by itself."""
    for person in ("anna", "lee"):
        for method in ("GET", "PUT"):
            headers = identity.bearer(person, "member" if person == "anna" else "provider")
            assert (await client.request(method, PAGE, headers=headers, json={})).status_code == 200
    assert (await client.get(PAGE, headers=why(identity, "billing"))).status_code == 200
    assert (await client.put(PAGE, headers=why(identity, "incident"), json={})).status_code == 200
    assert (await client.get("/v1/shelf", headers=why(identity, "audit"))).status_code == 200
    assert await written(service, "caller", "role", "operation", "person_id", "entity", "outcome", "reason") == [
        ("lee", "provider", "page.read", "anna", ABOUT, "shown", None),
        ("lee", "provider", "page.change", "anna", ABOUT, "changed", None),
        ("support-1", "support", "page.read", "anna", ABOUT, "shown", "billing"),
        ("support-1", "support", "page.read", "lee", ABOUT, "shown", "billing"),
        ("support-1", "support", "page.change", "anna", ABOUT, "changed", "incident"),
        ("support-1", "support", "page.change", "lee", ABOUT, "changed", "incident"),
        ("support-1", "support", "shelf.list", None, None, "shown", "audit"),
    ]


@pytest.mark.rule("SEC-5")
async def test_accesses_at_the_same_time_leave_a_row_each(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    asked = [identity.bearer("anna"), why(identity, "complaint; ticket 4711"), why(identity, "legal")] * 10
    answered = await asyncio.gather(*(client.get("/v1/diaries/anna", headers=headers) for headers in asked))
    assert {answer.status_code for answer in answered} == {200}
    found = await written(service, "caller", "person_id", "reason", "remark_digest IS NULL")
    assert Counter(found) == {
        ("anna", "anna", None, True): 10,
        ("support-1", "anna", "complaint", False): 10,
        ("support-1", "anna", "legal", True): 10,
    }


@pytest.mark.rule("SEC-5")
async def test_what_could_not_be_written_down_is_not_shown(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    async with service.database.reading() as queries:
        await queries.execute("ALTER TABLE access_rows RENAME TO elsewhere")
    over = f"{PAGE}?fails=session-over"
    for method, path in (
        ("GET", PAGE),
        ("PUT", PAGE),
        ("GET", "/v1/diaries/anna"),
        ("GET", "/v1/shelf"),
        ("PUT", over),
    ):
        answered = await client.request(method, path, headers=why(identity, "legal"), json={})
        assert answered.status_code == 500, f"{method} {path}"


@pytest.mark.rule("SEC-5")
async def test_where_a_rule_refuses_support_or_a_provider_a_row_says_that_they_were_told_so(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    """The answer tells how another person's thing stands. Nothing was changed, and what is one's own leaves no row."""
    over, support = f"{PAGE}?fails=session-over", why(identity, "legal")
    for path, headers, status in (
        (over, support, 409),
        ("/v1/diaries/refused", support, 409),
        (over, identity.bearer("lee", "provider"), 409),
        (over, identity.bearer("anna"), 409),
        (f"{PAGE}?fails=not-found", support, 404),
        ("/v1/diaries/anna?odd=1", support, 422),
        ("/v1/diaries/anna?odd=1", identity.bearer("anna"), 403),
    ):
        assert (await client.put(path, headers=headers, json={})).status_code == status, path
    assert await written(service, "caller", "operation", "person_id", "entity", "outcome", "reason") == [
        ("support-1", "page.change", "anna", ABOUT, "shown", "legal"),
        ("support-1", "page.change", "lee", ABOUT, "shown", "legal"),
        ("support-1", "diary.write", "refused", "diary:1", "shown", "legal"),
        ("support-1", "diary.write", "bob", "diary:1", "shown", "legal"),
        ("lee", "page.change", "anna", ABOUT, "shown", None),
        ("support-1", "page.change", "anna", ABOUT, "shown", "legal"),
        ("support-1", "page.change", "lee", ABOUT, "shown", "legal"),
        ("support-1", "diary.write", "anna", None, "refused", "legal"),
        ("anna", "diary.write", "anna", None, "refused", None),
    ]


@pytest.mark.rule("SEC-5")
async def test_whoever_is_forbidden_something_leaves_one_row_wherever_it_is_decided(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    for headers in (why(identity, "legal"), identity.bearer("lee", "provider"), identity.bearer("anna")):
        refused = await client.put(f"{PAGE}?fails=conflict-of-interest", headers=headers, json={})
        assert refused.status_code == 403
    assert await written(service, "caller", "operation", "person_id", "entity", "outcome", "times") == [
        ("support-1", "page.change", "anna", ABOUT, "refused", 1),
        ("support-1", "page.change", "lee", ABOUT, "refused", 1),
        ("lee", "page.change", "anna", ABOUT, "refused", 1),
        ("anna", "page.change", None, ABOUT, "refused", 1),
    ]


@pytest.mark.rule("SEC-5")
async def test_a_repeated_change_is_shown_again_and_not_changed_again(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    headers = why(identity, "legal") | {"Idempotency-Key": "k"}
    for _ in range(2):
        assert (await client.put(PAGE, headers=headers, json={})).status_code == 200
    assert await written(service, "person_id", "outcome", "entity") == [
        ("anna", "changed", ABOUT),
        ("lee", "changed", ABOUT),
        (None, "shown", ABOUT),
    ]


@pytest.mark.rule("SEC-5")
@pytest.mark.parametrize(
    "reason",
    [
        None,
        "",
        "ticket 4711",
        "curiosity",
        "Support_Request",
        "; support_request",
        "audit; " + "x" * 201,
        "audit; turned \u202e".encode(),
        b"audit; \xff",
    ],
)
async def test_support_and_ops_say_why(
    service: Service, client: httpx.AsyncClient, identity: Identity, reason: Any
) -> None:
    headers: dict[Any, Any] = {"Authorization": f"Bearer {identity.token('sue', 'support')}"}
    if reason is not None:
        headers["X-Access-Reason"] = reason
    for path in ("/v1/diaries/anna", PAGE, "/v1/notes/access?person_id=anna"):
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (400, "/problems/access-reason-required")
    two = [*headers.items(), *(("X-Access-Reason", "audit") for _ in range(2))]
    assert (await client.get(PAGE, headers=two)).status_code == 400
    assert (await client.get("/v1/weather", headers=headers)).status_code == 200
    assert await written(service, "caller", "operation", "person_id", "outcome", "reason") == [
        ("sue", "diary.read", "anna", "refused", None),
        ("sue", "page.read", None, "refused", None),
        ("sue", "access.read", None, "refused", None),
        ("sue", "page.read", None, "refused", None),
    ]


@pytest.mark.rule("SEC-5")
async def test_members_and_providers_need_no_reason_and_theirs_is_not_kept(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    headers = identity.bearer("anna") | {"X-Access-Reason": "because"}
    assert (await client.get("/v1/diaries/anna", headers=headers)).status_code == 200
    assert await written(service, "reason", "remark_digest") == [(None, None)]
    for code in CODES:
        assert (await client.get(PAGE, headers=why(identity, code))).status_code == 200


@pytest.mark.rule("SEC-5")
async def test_the_free_text_can_be_erased_and_proved(
    service: Service, client: httpx.AsyncClient, identity: Identity
) -> None:
    headers: dict[Any, Any] = why(identity, "") | {"X-Access-Reason": "complaint; said Grüße".encode()}
    await client.get("/v1/diaries/anna", headers=headers)
    ((digest,),) = await written(service, "remark_digest")
    async with service.database.reading() as queries:
        row = await queries.fetch_one("SELECT salt, remark FROM access_remarks")
    assert row is not None
    assert sha256(row["salt"] + row["remark"].encode()).digest() == digest
    assert row["remark"] == "said Grüße"


@pytest.mark.rule("SEC-5")
async def test_a_refused_look_leaves_a_row(service: Service, client: httpx.AsyncClient, identity: Identity) -> None:
    for headers, method, path, status in (
        (identity.bearer("bert"), "GET", "/v1/diaries/anna", 404),
        (identity.bearer("bert"), "GET", PAGE, 404),
        (identity.bearer("anna"), "PUT", "/v1/diaries/bob", 403),
        (why(identity, "legal", "ops"), "GET", PAGE, 403),
        (identity.bearer("bert"), "GET", "/v1/diaries/anna@example.org", 404),
        (identity.bearer("bert"), "GET", "/v1/diaries/Anna%20Smith", 404),
    ):
        assert (await client.request(method, path, headers=headers, json={})).status_code == status
    assert await written(service, "caller", "role", "operation", "person_id", "entity", "outcome") == [
        ("bert", "member", "diary.read", "anna", None, "refused"),
        ("bert", "member", "page.read", "anna", ABOUT, "refused"),
        ("bert", "member", "page.read", "lee", ABOUT, "refused"),
        ("anna", "member", "diary.write", "bob", None, "refused"),
        ("ops-1", "ops", "page.read", None, ABOUT, "refused"),
        ("bert", "member", "diary.read", None, None, "refused"),
        ("bert", "member", "diary.read", None, None, "refused"),
    ]
    nobody = await client.get("/v1/diaries/anna", headers={"Authorization": "Bearer x"})
    assert nobody.status_code == 401
    assert len(await written(service, "id")) == 7


@pytest.mark.rule("SEC-1", "SEC-5")
async def test_support_alone_reads_the_rows_page_by_page(client: httpx.AsyncClient, identity: Identity) -> None:
    for role in ("member", "provider", "ops"):
        refused = await client.get("/v1/notes/access?person_id=anna", headers=identity.bearer("anna", role))
        assert refused.status_code == 403
    for number in range(5):
        await client.get("/v1/diaries/anna", headers=why(identity, f"audit; {number}"))
    seen: list[str] = []
    more = "&limit=2"
    while True:
        found = await rows(client, identity, more=more)
        seen += [row["remark"] for row in found["items"]]
        if found["next_cursor"] is None:
            break
        more = f"&limit=2&cursor={found['next_cursor']}"
    assert seen == ["4", "3", "2", "1", "0"]
