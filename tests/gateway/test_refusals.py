"""The gateway's own refusals are problems (RFC 9457), each as documented: too much, too fast, too slow, not there."""

from __future__ import annotations

import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gateway_harness import Gateway, Server, running_gateway
from gateway_upstream import application
from makegood_testkit.waiting import until

MIB = 1024 * 1024


def assert_problem(answer: httpx.Response, status: int, slug: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"


def test_a_body_of_one_mib_passes_and_two_do_not(gateway: Gateway, client: httpx.Client) -> None:
    headers = gateway.headers("bodies")
    assert client.post("/v1/sessions", headers=headers, content=b"x" * MIB).json()["bytes"] == MIB
    seen = gateway.upstreams["booking"].seen
    assert_problem(client.post("/v1/sessions", headers=headers, content=b"x" * 2 * MIB), 413, "payload-too-large")

    def chunks() -> list[bytes]:
        return [b"x" * 65536] * 32

    assert_problem(client.post("/v1/sessions", headers=headers, content=iter(chunks())), 413, "payload-too-large")
    assert gateway.upstreams["booking"].seen == seen


def test_headers_of_32_kib_are_refused(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.get("/v1/sessions", headers={**gateway.headers("headers"), "x-long": "a" * 32768})
    assert answer.status_code == 431
    assert answer.json()["type"] == "/problems/payload-too-large"


def test_malformed_http_is_refused(gateway: Gateway) -> None:
    """Two lengths for one body: the start of request smuggling."""
    port = int(httpx.URL(gateway.url).port or 0)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 400")
    problem = json.loads(answer.partition("\r\n\r\n")[2])
    assert problem["type"] == "/problems/validation"
    assert "instance" not in problem, "it was refused before it had an id"


def test_what_is_refused_early_tells_its_id_or_none(gateway: Gateway, client: httpx.Client) -> None:
    """Never the words for "no id", and never a text of the client's that is no UUID."""
    hidden = httpx.URL(gateway.url).copy_with(raw_path=b"/v1/rooms/r1%2Fmessages")
    for sent in (
        {},
        {"x-request-id": "jane.doe@example.com"},
        {"x-request-id": "01939f5e-7a4c-7c3e-9d2a-0123456789ab"},
    ):
        answer = client.send(httpx.Request("GET", hidden, headers={**gateway.headers("early"), **sent}))
        assert answer.status_code == 400
        instance = answer.json().get("instance", "urn:uuid:01939f5e-7a4c-7c3e-9d2a-0123456789ab")
        assert uuid.UUID(instance.removeprefix("urn:uuid:"))
        assert "jane" not in answer.text


def test_each_person_has_a_limit_of_their_own(gateway: Gateway, client: httpx.Client) -> None:
    """100 at once pass, some of the next 200 do not; another person is not touched by it."""
    headers = gateway.headers("hasty")
    first = client.get("/v1/plans", headers=headers)
    assert first.headers["x-ratelimit-limit"].startswith("100")
    assert 0 < int(first.headers["x-ratelimit-remaining"]) < 100
    assert int(first.headers["x-ratelimit-reset"]) >= 0
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/v1/plans", headers=headers), range(400)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 100 <= sum(answer.status_code == 200 for answer in answers) < 400
    assert refused
    assert_problem(refused[0], 429, "rate-limited")
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].headers["x-ratelimit-remaining"] == "0"
    assert client.get("/v1/plans", headers=gateway.headers("patient")).status_code == 200


@pytest.mark.parametrize("token", [True, False])
def test_an_unknown_address_has_the_limit_that_its_headers_tell(
    gateway: Gateway, client: httpx.Client, token: bool
) -> None:
    answer = client.get("/v1/nothing-here", headers=gateway.headers("lost") if token else {})
    assert_problem(answer, 404, "not-found")
    assert answer.headers["x-ratelimit-limit"].startswith("100")
    assert int(answer.headers["x-ratelimit-remaining"]) < 100


def test_without_a_token_the_address_has_the_limit(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, rate_limit=1, rate_burst=5) as gateway,
        httpx.Client(base_url=gateway.url) as client,
    ):
        statuses = [client.post("/v1/webhooks/payments").status_code for _ in range(8)]
        assert statuses[:5] == [200] * 5
        assert 429 in statuses
        assert client.post("/v1/purchases", headers=gateway.headers()).status_code == 200


def test_a_slow_service_is_not_waited_for_for_ever(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.get("/v1/sessions/slow", headers=gateway.headers("slow"))
    assert_problem(answer, 504, "deadline-exceeded")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.rule("REL-9")
def test_a_service_that_is_gone_is_a_clear_503_and_back_at_once_when_it_returns(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, connect_tries=2) as gateway,
        httpx.Client(base_url=gateway.url, timeout=20) as client,
    ):
        headers = gateway.headers()
        port = gateway.servers["credits"].port
        assert client.get("/v1/plans", headers=headers).status_code == 200
        gateway.servers["credits"].stop()
        answer = client.get("/v1/plans", headers=headers)
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert client.get("/v1/sessions", headers=headers).status_code == 200
        back = Server(application(gateway.upstreams["credits"]), port)
        try:
            until(
                lambda: client.get("/v1/plans", headers=headers).status_code == 200,
                what="the service is back",
                seconds=10,
            )
        finally:
            back.stop()


def test_a_page_can_only_be_read(client: httpx.Client) -> None:
    answer = client.post("/docs")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/docs", "/v1/sessions", "/v1/nowhere"])
@pytest.mark.parametrize("method", ["QUERY", "PROPFIND", "LOCK"])
def test_a_method_that_no_address_takes_is_told_so(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, content=b"{}", headers={"Content-Type": "application/json"})
    assert_problem(answer, 405, "method-not-allowed")
    assert "QUERY" not in answer.headers["allow"]
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
