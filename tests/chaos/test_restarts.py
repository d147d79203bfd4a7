"""Services are restarted under load, one process after the other, and nobody notices (REL-8)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

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
    async with platform.running():
        yield platform


@pytest.mark.rule("REL-8")
async def test_every_service_and_role_is_restarted_under_load_and_nobody_notices(scaled: Platform) -> None:
    names = ("booking-serve-1", "availability-2", "credits-1", "notifications-2", "booking-work-1", "notifications-1")
    findings = await restart_under_load(scaled, names, members=6)
    assert wrong(findings, bookings=20) == []
    assert findings.streams >= 4, "each of the two streams ended at least once and was continued"
    assert sum(findings.restarts.values()) == len(names)
    await scaled.settle()
    assert await asyncio.to_thread(scaled.audit) == []


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the answer to a request without a token, on this connection. Raises if there is none."""
    writer.write(b"GET /v1/sessions HTTP/1.1\r\nHost: booking\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 "), head
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.lower()


@pytest.mark.rule("REL-8")
async def test_a_stopping_process_answers_on_open_connections_and_asks_for_others(scaled: Platform) -> None:
    """The gateway takes up to a second to see that a process stops, and sends requests to it meanwhile. What is sent on a
    connection in the moment when it is closed would be lost."""
    record = Supervisor(scaled.home).running()["booking-serve-2"]
    port = next(iter(record.ports.values()))
    asking, idle = [await asyncio.open_connection(LISTEN, port) for _ in range(2)]
    for connection in (asking, idle):
        assert b"connection: close" not in await _ask(*connection)
    os.kill(record.pid, signal.SIGTERM)
    stopped_at = time.monotonic()

    async def is_asked_to_leave() -> bool:
        return b"connection: close" in await _ask(*asking)

    await eventually(is_asked_to_leave)
    assert await asking[0].read() == b"", "what it has asked for is done"
    assert await idle[0].read() == b""
    assert time.monotonic() - stopped_at > 1, "the gateway may still have sent something"
    for _, writer in (asking, idle):
        writer.close()
    await asyncio.to_thread(scaled.up)


@pytest.mark.extended
@pytest.mark.rule("REL-8")
async def test_twenty_restarts_under_load_are_noticed_by_nobody(scaled: Platform) -> None:
    """Five of each service. `restarts.py` beside this file restarts each of them twenty times."""
    findings = await restart_under_load(scaled, one_after_the_other(scaled, 5), members=8)
    assert wrong(findings, bookings=50) == []
    assert sum(findings.restarts.values()) == 20
    await scaled.settle()
    assert await asyncio.to_thread(scaled.audit) == []
