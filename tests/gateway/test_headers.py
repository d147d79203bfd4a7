"""What the gateway does to headers: cross-origin calls, ids, trace context, and what nobody may claim of themselves."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest
from gateway_harness import Gateway
from makegood_testkit.waiting import until

CLAIMED = {
    "x-makegood-subject": "support-1",
    "x-forwarded-for": "10.1.2.3",
    "x-forwarded-host": "evil.example",
    "forwarded": "for=10.1.2.3",
    "x-real-ip": "10.1.2.3",
    "x-original-url": "/v1/members/m2/credits",
    "x-http-method-override": "DELETE",
    "x_makegood_subject": "support-1",
    "x-envoy-original-path": "/v1/members/m2/credits",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-retry-on": "5xx",
    "x-envoy-internal": "true",
}


@pytest.mark.rule("SEC-2")
def test_forged_headers_do_not_reach_a_service(gateway: Gateway, client: httpx.Client) -> None:
    seen = client.get("/v1/sessions", headers={**gateway.headers("forger"), **CLAIMED}).json()["headers"]
    assert not set(CLAIMED) & set(seen)


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost"])
def test_a_page_of_this_machine_may_call(client: httpx.Client, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "if-match"}
    answer = client.options("/v1/sessions", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"]
    assert {"authorization", "idempotency-key", "if-match", "prefer", "last-event-id"} <= set(allowed.split(", "))
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "http://localhost:1@evil"])
def test_a_page_of_elsewhere_may_not(gateway: Gateway, client: httpx.Client, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/sessions", headers=asked).headers
    answer = client.get("/v1/sessions", headers={**gateway.headers("elsewhere"), "Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_may_read_refusals_too(client: httpx.Client) -> None:
    answer = client.get("/v1/sessions", headers={"Origin": "http://localhost:5173"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert {"allow", "etag", "idempotent-replayed", "location", "preference-applied", "retry-after"} <= exposed
    assert {"x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= exposed


def test_a_request_id_is_kept_made_or_replaced(gateway: Gateway, client: httpx.Client) -> None:
    headers = gateway.headers("ids")
    mine = "01939f5e-7a4c-7c3e-9d2a-0123456789ab"
    kept = client.get("/v1/sessions", headers={**headers, "x-request-id": mine})
    assert kept.headers["x-request-id"] == kept.json()["headers"]["x-request-id"] == mine
    made = client.get("/v1/sessions", headers=headers)
    assert uuid.UUID(made.headers["x-request-id"])
    assert made.headers["x-request-id"] == made.json()["headers"]["x-request-id"]
    personal = client.get("/v1/sessions", headers={**headers, "x-request-id": "jane.doe@example.com"})
    assert uuid.UUID(personal.headers["x-request-id"])
    assert personal.headers["x-request-id"] == personal.json()["headers"]["x-request-id"]


def test_trace_context_is_passed_on_or_begun(gateway: Gateway, client: httpx.Client) -> None:
    headers = gateway.headers("traces")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {**headers, "traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
    passed = client.get("/v1/sessions", headers=sent).json()["headers"]
    assert passed["traceparent"].split("-")[1] == trace
    assert passed["tracestate"] == "vendor=1"
    version, begun, span, _ = client.get("/v1/sessions", headers=headers).json()["headers"]["traceparent"].split("-")
    assert (version, len(begun), len(span)) == ("00", 32, 16)
    assert int(begun, 16)


def test_answers_carry_security_headers_and_keep_the_service_s_own(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.get("/v1/sessions", headers=gateway.headers("security"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["server"] == "makegood"
    assert answer.headers["etag"] == '"1"'
    assert not [name for name in answer.headers if name.startswith("x-envoy")]


@pytest.mark.rule("SEC-3")
def test_the_access_log_tells_ids_and_nothing_personal(gateway: Gateway, client: httpx.Client) -> None:
    mine = str(uuid.uuid4())
    canary = "canary-jane-doe"
    headers = {
        **gateway.headers("log-subject"),
        "x-request-id": mine,
        "user-agent": canary,
        "referer": f"https://{canary}.example/",
        "cookie": canary,
    }
    client.post(f"/v1/sessions?note={canary}", headers=headers, content=canary)
    client.get("/v1/sessions", headers={"x-request-id": canary})
    until(lambda: mine in gateway.log_text(), what="the line is written")
    line = next(json.loads(line) for line in gateway.log_text().splitlines() if mine in line)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/sessions", 200)
    assert line["route"] == "booking:/v1/sessions"
    assert line["duration_ms"] >= 0
    text = gateway.log_text()
    assert canary not in text
    assert headers["Authorization"].removeprefix("Bearer ") not in text
    assert (line["subject"], line["address"], line["token"]) == ("log-subject", "127.0.0.0/24", None)
    assert "127.0.0.1" not in json.dumps(line)


@pytest.mark.parametrize(
    ("path", "logged"), [("calendar/verysecret.ics", "calendar"), ("unsubscribe/verysecret", "unsubscribe")]
)
def test_a_secret_address_needs_no_token_and_stands_in_no_log(
    gateway: Gateway, client: httpx.Client, path: str, logged: str
) -> None:
    mine = str(uuid.uuid4())
    answer = client.get(f"/v1/{path}", headers={"X-Request-Id": mine})
    assert (answer.status_code, answer.json()["service"]) == (200, "notifications")
    until(lambda: mine in gateway.log_text(), what="the line is written")
    line = next(json.loads(line) for line in gateway.log_text().splitlines() if mine in line)
    assert line["path"] == f"/v1/{logged}/*"
    assert "verysecret" not in gateway.log_text()
