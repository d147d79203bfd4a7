"""Services are restarted under load, one process after the other, and nobody notices (REL-8)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
import pytest_asyncio
from makegood_stack.ports import LISTEN
from makegood_stack.processes import Supervisor
from makegood_testkit.platform import Platform
from makegood_testkit.rolling import one_after_the_other, restart_under_load, wrong
from makegood_testkit.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
SCALE = {"booking-serve": 2, "booking-work": 1, "availability": 2, "credits": 2, "notifications": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scaled(
    tmp_path_factory: pytest.TempPathFactory, kafka_servers: str, redis_url: str
) -> AsyncIterator[Platform]:
    """Two processes of each service, booking's in separate roles."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_servers,
        "REDIS_URL": redis_url,
        "KAFKA_TOPIC_PREFIX": "restarts.",
    }
    platform = Platform.at(tmp_path_factory.mktemp("restarts"), environment, scale=SCALE)
    try:
        await asyncio.to_thread(platform.up)
        yield platform
    finally:
        await platform.close()
        await asyncio.to_thread(platform.down)


@pytest.mark.rule("REL-8")
async def test_every_service_and_role_is_restarted_under_load_and_nobody_notices(scaled: Platform) -> None:
    names = ("booking-serve-1", "availability-2", "credits-1", "notifications-2", "booking-work-1")
    findings = await restart_under_load(scaled, names, members=6)
    assert wrong(findings, bookings=20) == []
    assert findings.streams > 2, "streams ended and were continued"
    assert sum(findings.restarts.values()) == len(names)
    await scaled.settle()
    assert await asyncio.to_thread(scaled.audit) == []


@pytest.mark.rule("REL-8")
async def test_a_stopping_process_answers_on_open_connections_and_asks_for_others(scaled: Platform) -> None:
    """The gateway takes up to a second to see that a process stops, and sends requests to it meanwhile. What is sent on a
    connection in the moment when it is closed would be lost."""
    record = Supervisor(scaled.home).running()["booking-serve-2"]
    serving, probing = (f"http://{LISTEN}:{port}" for port in record.ports.values())
    async with httpx.AsyncClient(trust_env=False) as client, httpx.AsyncClient(trust_env=False) as idle:
        for each in (client, idle):
            before = await each.get(f"{serving}/v1/sessions")
            assert (before.status_code, before.headers.get("connection")) == (401, None)
        os.kill(record.pid, signal.SIGTERM)

        async def stopping() -> bool:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(trust_env=False) as probe:
                    return "stopping" in (await probe.get(f"{probing}/readyz")).text
            return False

        await eventually(stopping)
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined]
        answer = await client.get(f"{serving}/v1/sessions")
        assert (answer.status_code, answer.headers.get("connection")) == (401, "close")
        assert connection.is_closed(), "it was answered on the connection from before"
        await asyncio.sleep(1)  # the gateway looks once a second
        (unused,) = idle._transport._pool.connections  # type: ignore[attr-defined]
        assert not unused.has_expired(), "a connection was closed although the gateway may be sending on it"
        assert (await idle.get(f"{serving}/v1/sessions")).headers.get("connection") == "close"
    await asyncio.to_thread(scaled.up)


@pytest.mark.extended
@pytest.mark.rule("REL-8")
async def test_every_service_is_restarted_twenty_times_under_load_and_nobody_notices(scaled: Platform) -> None:
    findings = await restart_under_load(scaled, one_after_the_other(scaled, 20), members=8)
    assert wrong(findings, bookings=200) == []
    await scaled.settle()
    assert await asyncio.to_thread(scaled.audit) == []
