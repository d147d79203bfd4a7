"""One bad token after the other: the address that sends them gets 429, and good tokens from there pass all the while."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_harness import Gateway, running_gateway
from makegood_testkit.waiting import until

pytestmark = [pytest.mark.rule("SEC-2"), pytest.mark.rule("SEC-8")]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Behind one proxy, whose word about addresses counts, so that a test can come from many."""
    with running_gateway(tmp_path, trusted_hops=1) as running:
        yield running


def bad(gateway: Gateway, address: str, count: int, kind: int = 0) -> list[httpx.Response]:
    tokens = (
        "no-token-at-all",
        gateway.identity.token("x", exp=int(time.time()) - 60),
        gateway.identity.token("x", aud="elsewhere"),
        f"{gateway.identity.token('x')[:-8]}AAAAAAAA",
        gateway.identity.token(None),  # type: ignore[arg-type]
    )
    with httpx.Client(base_url=gateway.url) as client:
        return [
            client.get(
                "/v1/sessions",
                headers={
                    "Authorization": f"Bearer {tokens[(kind + number) % len(tokens)]}",
                    "X-Forwarded-For": address,
                },
            )
            for number in range(count)
        ]


def good(gateway: Gateway, address: str, count: int = 1, path: str = "/v1/sessions") -> Counter[int]:
    headers = {**gateway.headers("honest"), "X-Forwarded-For": address}
    with httpx.Client(base_url=gateway.url) as client:
        return Counter(client.get(path, headers=headers).status_code for _ in range(count))


def test_after_thirty_in_a_row_the_address_gets_429(gateway: Gateway) -> None:
    answers = bad(gateway, "203.0.113.7", 60)
    statuses = [answer.status_code for answer in answers]
    assert statuses[:30] == [401] * 30, "kinds of bad tokens count together, and none passes"
    # One every two seconds comes back; the loop takes a few of them.
    assert Counter(statuses[30:])[429] >= 20
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["type"] == "/problems/rate-limited"
    assert "token" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "2"
    assert 'error="invalid_token"' in refused.headers["www-authenticate"], (
        "a client learns that its token is the reason"
    )
    assert gateway.upstreams["booking"].seen == 0


def test_good_tokens_from_the_same_address_pass(gateway: Gateway) -> None:
    bad(gateway, "203.0.113.7", 60)
    assert good(gateway, "203.0.113.7", 80) == {200: 80}
    assert bad(gateway, "203.0.113.7", 5)[-1].status_code == 429


def test_good_tokens_never_count_as_bad_ones(gateway: Gateway) -> None:
    assert good(gateway, "203.0.113.7", 80) == {200: 80}
    assert [answer.status_code for answer in bad(gateway, "203.0.113.7", 30)] == [401] * 30


def test_another_address_has_a_limit_of_its_own(gateway: Gateway) -> None:
    bad(gateway, "203.0.113.7", 40)
    assert bad(gateway, "203.0.113.8", 1)[0].status_code == 401
    assert bad(gateway, "2001:db8:1:2::5", 1)[0].status_code == 401


def test_all_addresses_of_an_ipv6_network_count_as_one(gateway: Gateway) -> None:
    statuses = [bad(gateway, f"2001:db8:1:2::{number:x}", 1, number)[0].status_code for number in range(1, 60)]
    assert statuses[:30] == [401] * 30
    assert 429 in statuses
    assert bad(gateway, "2001:db8:1:3::1", 1)[0].status_code == 401


def test_a_token_shown_where_none_is_needed_is_not_judged(gateway: Gateway) -> None:
    """Client apps send theirs with every request, and an old one must not lock them out of the documentation."""
    headers = {"Authorization": "Bearer old", "X-Forwarded-For": "203.0.113.7"}
    with httpx.Client(base_url=gateway.url) as client:
        for path in ("/docs", "/v1/booking/openapi.json"):
            assert {client.get(path, headers=headers).status_code for _ in range(40)} == {200}
    assert bad(gateway, "203.0.113.7", 1)[0].status_code == 401


def test_without_a_token_the_usual_limit_of_an_address_counts(gateway: Gateway) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}
    with httpx.Client(base_url=gateway.url) as client:
        statuses = Counter(client.get("/v1/sessions", headers=headers).status_code for _ in range(90))
    assert statuses == {401: 90}
    assert bad(gateway, "203.0.113.7", 1)[0].status_code == 401


def test_the_log_tells_who_and_from_which_network_and_why_a_token_was_refused(gateway: Gateway) -> None:
    bad(gateway, "203.0.113.77", 1, 1)
    good(gateway, "2001:db8:1:2::5")
    until(lambda: gateway.log_text().count('"event":"request"') >= 2, what="the lines are written")
    lines = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
    refused, passed = lines[0], lines[-1]
    assert (refused["status"], refused["subject"], refused["address"]) == (401, None, "203.0.113.0/24")
    assert "expired" in refused["token"]
    assert (passed["status"], passed["subject"], passed["address"]) == (200, "honest", "2001:db8:1::/48")
    assert passed["token"] is None
    assert "203.0.113.77" not in gateway.log_text()
    assert "2::5" not in gateway.log_text()
