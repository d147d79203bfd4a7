"""Nobody steers the gateway by headers: no retries, time-outs, statistics, traces or routes of a client's choice."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

_HERE = Path(__file__).resolve()
sys.path[:0] = [str(_HERE.parents[1] / "gateway"), str(_HERE.parents[2] / "deploy" / "gateway")]

from gateway_harness import Gateway, running_gateway  # noqa: E402

pytestmark = pytest.mark.rule("SEC-2")

MESSAGES = "/v1/rooms/new/messages"

STEERING = {
    "x-envoy-retry-on": "retriable-status-codes,retriable-headers,5xx,gateway-error,reset",
    "x-envoy-retry-grpc-on": "cancelled,internal",
    "x-envoy-retriable-status-codes": "200,201,404",
    "x-envoy-retriable-header-names": "etag",
    "x-envoy-max-retries": "20",
    "x-envoy-hedge-on-per-try-timeout": "true",
    "x-envoy-upstream-rq-timeout-ms": "50",
    "x-envoy-upstream-rq-per-try-timeout-ms": "20",
    "x-envoy-upstream-rq-timeout-alt-response": "1",
    "x-envoy-upstream-stream-duration-ms": "50",
    "x-envoy-upstream-alt-stat-name": "made-by-a-client",
    "x-envoy-expected-rq-timeout-ms": "7",
    "x-envoy-force-trace": "true",
    "x-client-trace-id": "forced",
    "x-envoy-decorator-operation": "chosen",
    "x-envoy-original-path": "/v1/members/m2/credits",
    "x-envoy-original-url": "https://elsewhere.example/",
    "x-envoy-original-dst-host": "127.0.0.1:1",
    "x-envoy-original-method": "DELETE",
    "x-envoy-internal": "true",
    "x-envoy-external-address": "10.0.0.1",
    "x-envoy-downstream-service-cluster": "booking",
    "x-envoy-downstream-service-node": "booking-1",
    "x-envoy-ip-tags": "trusted",
    "x-envoy-peer-metadata": "AAAA",
    "x-envoy-attempt-count": "9",
    "x-envoy-is-timeout-retry": "true",
    "x-envoy-overloaded": "true",
    "x-envoy-something-that-comes-later": "1",
}

BY_PROXIES = [0, 1, 2]
CLAIMED_ADDRESSES = ["", "10.1.2.3", "127.0.0.1", "0.0.0.0", "::1", "fd00::1, 10.1.2.3", "203.0.113.9"]


@pytest.fixture(scope="module", params=BY_PROXIES, ids=lambda hops: f"{hops}-trusted-hops")
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("steered")
    with running_gateway(folder, trusted_hops=request.param, route_timeout=1.0, connect_tries=3) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as session:
        yield session


def statistics(gateway: Gateway) -> dict[str, int]:
    """Every counter of the gateway, by name."""
    answer = httpx.get(f"{gateway.admin}/stats")
    assert answer.status_code == 200
    pairs = (line.partition(": ") for line in answer.text.splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdigit()}


@pytest.mark.parametrize("address", CLAIMED_ADDRESSES)
def test_one_post_is_one_message_however_many_tries_are_asked_for(
    gateway: Gateway, client: httpx.Client, address: str
) -> None:
    before, counted = gateway.upstreams["notifications"].seen, statistics(gateway)
    headers = {**gateway.headers("writer"), **STEERING, **({"x-forwarded-for": address} if address else {})}
    answer = client.post(MESSAGES, headers=headers, json={"text": "once"})
    assert answer.status_code == 201
    assert gateway.upstreams["notifications"].seen == before + 1
    after = statistics(gateway)
    for name in ("upstream_rq_retry", "upstream_rq_timeout", "upstream_rq_per_try_timeout"):
        key = f"cluster.notifications.{name}"
        assert after[key] == counted[key]


def test_the_attack_of_one_header_at_a_time(gateway: Gateway, client: httpx.Client) -> None:
    """So that no header hides what another does."""
    before = gateway.upstreams["notifications"].seen
    for name, value in STEERING.items():
        headers = {**gateway.headers("one-by-one"), name: value, "x-forwarded-for": "10.9.8.7"}
        assert client.post(MESSAGES, headers=headers).status_code == 201
    assert gateway.upstreams["notifications"].seen == before + len(STEERING)


def test_no_client_makes_statistics(gateway: Gateway, client: httpx.Client) -> None:
    client.get("/v1/sessions", headers=gateway.headers("statistician"))
    names = set(statistics(gateway))
    for number in range(50):
        headers = {
            **gateway.headers("statistician"),
            **STEERING,
            "x-envoy-upstream-alt-stat-name": f"mine-{number}",
            "x-envoy-downstream-service-cluster": f"mine-{number}",
        }
        assert client.get("/v1/sessions", headers=headers).status_code == 200
    assert not {name for name in set(statistics(gateway)) - names if "mine" in name or "client" in name}


def test_no_client_shortens_or_hides_a_time_out(gateway: Gateway, client: httpx.Client) -> None:
    headers = {**gateway.headers("hurried"), **STEERING}
    assert client.get("/v1/sessions/soon", headers=headers).text == "in time"
    late = client.get("/v1/sessions/slow", headers=headers)
    assert (late.status_code, late.json()["type"]) == (504, "/problems/deadline-exceeded")


def test_a_service_sees_none_of_them(gateway: Gateway, client: httpx.Client) -> None:
    headers = {**gateway.headers("seen"), **STEERING, "x-forwarded-for": "10.1.2.3"}
    seen = client.get("/v1/sessions", headers=headers).json()["headers"]
    assert not [name for name in seen if "envoy" in name]
    assert not set(seen) & set(STEERING)
    assert not {name for name in seen if name.startswith("x-forwarded-") and name != "x-forwarded-proto"}


def test_no_client_has_its_requests_traced(gateway: Gateway, client: httpx.Client) -> None:
    before = statistics(gateway)
    headers = {**gateway.headers("traced"), **STEERING, "x-forwarded-for": "10.1.2.3"}
    assert client.get("/v1/sessions", headers=headers).status_code == 200
    after = statistics(gateway)
    for ordered in ("http.gateway.tracing.service_forced", "http.gateway.tracing.client_enabled"):
        assert after[ordered] == before[ordered]


def raw(gateway: Gateway, *lines: str) -> bytes:
    """Sends the header lines as they are, after a good start."""
    port = int(httpx.URL(gateway.url).port or 0)
    token = gateway.headers("raw")["Authorization"]
    head = (
        f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 0\r\nConnection: close\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall((head + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode("latin-1"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "lines",
    [
        ("X-Envoy-Retry-On: retriable-status-codes", "X-ENVOY-Retriable-Status-Codes: 201", "x-EnVoY-mAx-ReTrIeS: 20"),
        ("x-envoy-retry-on: 5xx", "x-envoy-retry-on: retriable-status-codes", "x-envoy-retriable-status-codes: 201"),
        ("x_envoy_retry_on: retriable-status-codes", "x_envoy_retriable_status_codes: 201", "x_envoy_max_retries: 20"),
        ("x-envoy_retry-on: retriable-status-codes", "x-envoy-retriable_status-codes: 201", "x-envoy_max-retries: 20"),
        (
            "x-envoy-retry-on:\tretriable-status-codes",
            "x-envoy-retriable-status-codes:201",
            "x-envoy-max-retries:  20 ",
        ),
        (
            "Connection: x-envoy-retry-on",
            "x-envoy-retry-on: retriable-status-codes",
            "x-envoy-retriable-status-codes: 201",
        ),
        ("x-envoy-retry-on : retriable-status-codes", "x-envoy-retriable-status-codes : 201"),
        ("X-Other: 1", " x-envoy-retry-on: retriable-status-codes", " x-envoy-retriable-status-codes: 201"),
    ],
    ids=["case", "twice", "underscores", "mixed", "blanks", "named-by-connection", "blank-before-colon", "folded"],
)
def test_odd_spellings_do_not_help(gateway: Gateway, lines: tuple[str, ...]) -> None:
    before = gateway.upstreams["notifications"].seen
    answer = raw(gateway, *lines, "X-Forwarded-For: 192.168.1.9")
    assert answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 400"))
    assert gateway.upstreams["notifications"].seen == before + answer.startswith(b"HTTP/1.1 201")
    if answer.startswith(b"HTTP/1.1 201"):
        seen = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
        assert not [name for name in seen if "envoy" in name]
