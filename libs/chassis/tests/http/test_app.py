"""What an application is checked for when it is made, and what it serves beside its routes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends
from makegood_chassis.http.app import create_app, health_app
from makegood_chassis.http.components import resolved
from makegood_chassis.http.rights import Access, Grant, operation
from makegood_chassis.service import Service
from makegood_testkit.identity import Identity
from makegood_testkit.production import production_values

from . import notes
from .conftest import Make, serving

known = Annotated[Access, Depends(operation("known"))]
other = Annotated[Access, Depends(operation("other"))]


async def _without() -> None: ...
async def _with(access: known) -> None: ...
async def _unknown(access: other) -> None: ...
async def _both(one: known, two: other) -> None: ...


@pytest.mark.rule("SEC-1")
@pytest.mark.parametrize(
    ("route", "message"),
    [
        (_without, "exactly one operation, and asks for none"),
        (_unknown, "`other`, which is not in the table"),
        (_both, "exactly one operation"),
    ],
)
def test_a_route_without_its_operation_fails_at_start(make_service: Make, route: object, message: str) -> None:
    router = APIRouter()
    router.add_api_route("/v1/thing", route, response_model=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        create_app(make_service(), title="T", description="", routers=[router], rights={"known": (Grant("member"),)})


def test_webhooks_need_no_operation(make_service: Make) -> None:
    router = APIRouter()
    router.add_api_route("/v1/webhooks/payments", _without, methods=["POST"], response_model=None)
    router.add_api_route("/v1/thing", _with, response_model=None)
    create_app(make_service(), title="T", description="", routers=[router], rights={"known": (Grant("member"),)})


async def test_the_document_tells_security_problems_and_headers(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    document = (await client.get("/v1/notes/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    post = resolved(document["paths"]["/v1/notes"]["post"], document)
    assert post["security"] == [{"token": []}]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503", "504"} <= set(post["responses"])
    assert all("application/problem+json" in r["content"] for s, r in post["responses"].items() if s[0] in "45")
    headers = {parameter["name"]: parameter["required"] for parameter in post["parameters"]}
    assert headers == {"Idempotency-Key": True}
    assert not {"412", "428"} & set(post["responses"])
    put = resolved(document["paths"]["/v1/notes/{id}"]["put"], document)
    assert {p["name"]: p["required"] for p in put["parameters"] if p["in"] == "header"} == {
        "Idempotency-Key": False,
        "If-Match": True,
    }
    assert {"412", "428"} <= set(put["responses"])
    slow = resolved(document["paths"]["/v1/slow-notes"]["post"], document)
    assert {p["name"] for p in slow["parameters"]} == {"Idempotency-Key", "Prefer"}
    assert "support-may-not" in slow["responses"]["403"]["content"]["application/problem+json"]["examples"]
    told = {
        (200, "ETag"): put,
        (412, "ETag"): put,
        (401, "WWW-Authenticate"): put,
        (409, "Retry-After"): put,
        (429, "Retry-After"): put,
        (503, "Retry-After"): put,
        (429, "X-RateLimit-Reset"): put,
        (201, "Preference-Applied"): slow,
        (409, "Preference-Applied"): slow,
    }
    assert [
        pair for pair, operation in told.items() if pair[1] not in operation["responses"][str(pair[0])]["headers"]
    ] == []
    assert "Preference-Applied" not in put["responses"]["200"]["headers"]
    for status, answer in slow["responses"].items():
        examples = answer["content"].get("application/problem+json", {}).get("examples", {})
        assert examples or status[0] == "2"
        assert {example["value"]["status"] for example in examples.values()} <= {int(status)}
    assert "404" in document["paths"]["/v1/notes/{id}"]["get"]["responses"]
    assert "ValidationError" not in document["components"]["schemas"]
    assert not any("dev" in path for path in document["paths"])


PROBES = ("/livez", "/readyz", "/startupz", "/metrics")


async def test_probes_and_metrics_need_no_token_and_are_not_where_requests_are(
    client: httpx.AsyncClient, service: Service
) -> None:
    await client.get("/v1/notes")
    async with serving(health_app(service)) as inside:
        assert [(await inside.get(path)).status_code for path in PROBES] == [200] * 4
        service.health.set_unhealthy("kafka", "no broker answers")
        answer = await inside.get("/readyz")
        assert (answer.status_code, answer.json()["problems"]) == (503, {"kafka": "no broker answers"})
        assert (await inside.get("/livez")).status_code == 200
        metrics = (await inside.get("/metrics")).text
    assert (
        'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/v1/notes"}'
        in metrics
    )
    for path in (*PROBES, "/docs", "/redoc", "/openapi.json"):
        assert (await client.get(path)).status_code == 404


async def test_a_method_that_a_client_makes_up_is_no_series_of_its_own(
    client: httpx.AsyncClient, service: Service
) -> None:
    """The server lets more than thirty methods pass, and each would double the series of a route's failures."""
    assert (await client.request("PROPFIND", "/v1/notes")).status_code == 405
    assert (await client.request("DELETE", "/v1/notes")).status_code == 405
    async with serving(health_app(service)) as inside:
        metrics = (await inside.get("/metrics")).text
    for method, there in (("other", True), ("DELETE", True), ("PROPFIND", False)):
        told = f'http_request_method="{method}",http_response_status_code="405",http_route="/v1/notes"'
        assert (told in metrics) is there, method


async def test_a_process_without_routes_serves_its_health(make_service: Make) -> None:
    async with serving(health_app(make_service())) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.get("/v1/notes")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_the_clock_moves_forward_and_settles(
    client: httpx.AsyncClient, service: Service, identity: Identity
) -> None:
    path, ops = "/v1/notes/dev/clock", identity.bearer("otto", "ops")
    async with service.database.reading() as queries:
        await queries.execute("INSERT INTO processes (id, role) VALUES ('p', 'work'), ('dead', 'work')")
        await queries.execute("UPDATE processes SET seen_at = now() - interval '1 minute' WHERE id = 'dead'")
        due = datetime.now(UTC) + timedelta(hours=1)
        await queries.execute("INSERT INTO deadlines VALUES ('note', '1', $1)", due)
        assert (await client.get(path, headers=ops)).json()["settled"] is True
        answer = (await client.put(path, json={"offset_seconds": 7200}, headers=ops)).json()
        assert (answer["offset_seconds"], answer["settled"]) == (7200, False)
        assert datetime.fromisoformat(answer["now"]) > due
        await queries.execute("DELETE FROM deadlines")
        assert (await client.get(path, headers=ops)).json()["settled"] is False
        await queries.execute("UPDATE processes SET clock_revision = 1 WHERE id = 'p'")
        assert (await client.get(path, headers=ops)).json()["settled"] is True
        assert (await client.put(path, json={"offset_seconds": 7200}, headers=ops)).status_code == 200
        assert await queries.fetch_value("SELECT revision FROM clock") == 1
    for wrong in (7199, -1, 1e300, "soon", None):
        assert (await client.put(path, json={"offset_seconds": wrong}, headers=ops)).status_code == 422
    assert (await client.put(path, json={"offset_seconds": 8000})).status_code == 403


async def test_production_has_no_clock_to_move(make_service: Make, identity: Identity) -> None:
    issuer = "https://identity.example.org"
    signing = {name.lower(): production_values("booking")[name] for name in ("EVENT_SIGNING_KEY", "EVENT_KEYS_URL")}
    service = make_service(
        environment="production",
        data_keys=f"test:{'A' * 43}=",
        token_issuer=issuer,
        public_base_url="https://api.example.org",
        **signing,
    )
    async with serving(notes.app(service)) as client:
        ops = {"Authorization": f"Bearer {identity.token('otto', 'ops', iss=issuer)}"}
        assert (await client.get("/v1/notes/dev/clock", headers=ops)).status_code == 404
