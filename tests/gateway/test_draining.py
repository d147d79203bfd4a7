"""A gateway that will stop tells its clients first, so that a rolling update loses no request (REL-8)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from gateway_harness import Gateway, running_gateway

DRAIN = "/healthcheck/fail"


@pytest.mark.rule("REL-8")
def test_a_draining_gateway_answers_and_sends_its_clients_elsewhere(tmp_path: Path) -> None:
    with running_gateway(tmp_path, drainable=True) as gateway, httpx.Client(base_url=gateway.url) as client:
        headers = gateway.headers()
        assert "connection" not in client.get("/v1/sessions", headers=headers).headers
        assert httpx.post(gateway.admin + DRAIN).status_code == 200
        for _ in range(3):  # the connection that is open, and new ones
            answer = client.get("/v1/sessions", headers=headers)
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert httpx.get(f"{gateway.admin}/ready").status_code == 503
        for path in ("/quitquitquit", "/drain_listeners", "/healthcheck/ok", "/healthcheck/fail/x"):
            assert httpx.post(gateway.admin + path).status_code == 403
        assert httpx.post(gateway.url + DRAIN).status_code == 404


def test_any_other_gateway_cannot_be_drained(gateway: Gateway) -> None:
    assert httpx.post(gateway.admin + DRAIN).status_code == 403
