"""What lasts long, streams and requests that wait, never takes the connections of everybody else's requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from gateway_harness import Gateway, running_gateway
from makegood_testkit.weather import Weather

pytestmark = pytest.mark.rule("SEC-8")

MORE_THAN_ONE_CLUSTER_HAS = 1100
"""Streams: a service's other connections end at 1,024."""


@asynccontextmanager
async def held(gateway: Gateway, subject: str, path: str, *lines: str) -> AsyncIterator[bytes]:
    """A request that is left open; gives the head of its answer, or nothing where none came within a second."""
    port = int(httpx.URL(gateway.url).port or 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    token = gateway.headers(subject)["Authorization"]
    head = (path, "Host: x", f"Authorization: {token}", *lines, "", "")
    writer.write("\r\n".join(head).encode())
    try:
        try:
            async with asyncio.timeout(15 if "stream" in path else 1):
                yield await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            yield b""
    finally:
        writer.close()


STREAM = "GET /v1/stream HTTP/1.1"
WAITING = ("POST /v1/sessions/slow/cancel HTTP/1.1", "Prefer: wait=30", "Content-Length: 0")


@pytest.mark.slow
async def test_streams_by_the_thousand_hold_nobody_else_up(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=gateway.url) as client:
            for number in range(0, MORE_THAN_ONE_CLUSTER_HAS, 50):
                subject = f"reader-{number}"
                opened = [stack.enter_async_context(held(gateway, subject, STREAM)) for _ in range(50)]
                assert all(b" 200 " in answer for answer in await asyncio.gather(*opened))
            with Weather() as weather:
                begun = time.monotonic()
                answer = await client.get("/v1/deliveries", headers=gateway.headers("other"), timeout=60)
                took = time.monotonic() - begun
                assert answer.status_code == 200
                assert took < 2 * weather.stretch()
        gateway.upstreams["notifications"].go_on()


async def test_one_stream_too_many_is_refused_at_once_with_a_time_to_come_back(tmp_path: Path) -> None:
    with running_gateway(tmp_path, most_lasting=4) as gateway:
        async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=gateway.url) as client:
            for _ in range(4):
                assert b" 200 " in await stack.enter_async_context(held(gateway, "reader", STREAM))
            refused = await client.get("/v1/stream", headers=gateway.headers("late"), timeout=30)
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/unavailable")
            assert refused.headers["retry-after"] == "5"
            assert (await client.get("/v1/deliveries", headers=gateway.headers("late"))).status_code == 200
        gateway.upstreams["notifications"].go_on()


async def test_requests_that_wait_leave_the_others_their_connections(tmp_path: Path) -> None:
    with running_gateway(tmp_path, most_lasting=3) as gateway:
        async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=gateway.url) as client:
            waits = [stack.enter_async_context(held(gateway, f"waiter-{n}", *WAITING)) for n in range(3)]
            assert await asyncio.gather(*waits) == [b""] * 3
            headers = {**gateway.headers("late"), "Prefer": "respond-async, WAIT=5"}
            refused = await client.post("/v1/sessions", headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await client.post("/v1/sessions", headers=gateway.headers("late"))).status_code == 200
            assert (await client.get("/v1/sessions", headers=headers)).status_code == 200
