"""SEC-8: a few streams for each person, and no more in total than a process serves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from makegood_chassis.signals import Signals
from makegood_contracts.ids import new_id
from makegood_notifications.streams import OpenStream, Streams
from makegood_testkit.waiting import eventually

from .conftest import NotificationsHarness
from .test_stream import following, served

pytestmark = pytest.mark.rule("SEC-8")


@asynccontextmanager
async def reading(
    harness: NotificationsHarness, base: str, person: str
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[str]]]:
    """A stream that is open: its first lines have been read."""
    async with (
        httpx.AsyncClient(base_url=base, headers=harness.identity.bearer(person, "member"), timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        lines = answer.aiter_lines()
        if answer.status_code == 200:
            assert (await anext(lines)).startswith("retry")
            for field in ("id", "event: stream.opened", "data"):
                assert (await anext(lines)).startswith(field)
        yield answer, lines


async def _rest(lines: AsyncIterator[str]) -> list[str]:
    async with asyncio.timeout(10):
        return [line async for line in lines if line and not line.startswith(":")]


async def test_a_sixth_stream_closes_the_oldest_which_is_told_why(harness: NotificationsHarness) -> None:
    await harness.reserved()
    async with served(harness) as base, AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(reading(harness, base, harness.member)) for _ in range(7)]
        for _, lines in opened[:2]:
            assert await _rest(lines) == [
                "event: stream.closed",
                "retry: 60000",
                f"data: {json.dumps({'reason': 'too-many-streams'}, separators=(',', ':'))}",
            ]
        assert len(harness.dependencies.streams) == 5
        async with following(harness, base, harness.provider, "provider") as other:  # others' are their own
            await other.take(0)
            assert len(harness.dependencies.streams) == 6
    await eventually(lambda: _equals(len(harness.dependencies.streams), 0))


async def test_a_process_serves_so_many_in_total(harness: NotificationsHarness) -> None:
    harness.dependencies.streams._total = 3
    async with served(harness) as base, AsyncExitStack() as stack:
        for number in range(3):
            answer, _ = await stack.enter_async_context(reading(harness, base, f"member-{number}"))
            assert answer.status_code == 200
        refused, _ = await stack.enter_async_context(reading(harness, base, "member-9"))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert json.loads(await refused.aread())["type"] == "/problems/unavailable"


async def test_asking_for_the_headers_alone_leaves_no_stream_behind(harness: NotificationsHarness) -> None:
    client = harness.client("member", harness.member)
    for _ in range(3):
        assert (await client.head("/v1/stream")).status_code == 200
    assert len(harness.dependencies.streams) == 0


async def _equals(found: int, wanted: int) -> bool:
    return found == wanted


class Process:
    """The streams of one of several processes."""

    def __init__(self, redis_url: str, each: int) -> None:
        self.signals = Signals(redis_url, f"streams-{redis_url[-4:]}")
        self.streams = Streams(self.signals, each=each, total=100)
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        await self.signals.open()

        async def connected() -> bool:
            return self.signals.connected

        await eventually(connected)

    async def follow(self, person: str) -> OpenStream:
        stream = self.streams.enter(person, lambda: None)
        await self._stack.enter_async_context(self.streams.following(stream))
        return stream

    async def close(self) -> None:
        await self._stack.aclose()
        await self.signals.close()


async def _closed(streams: Sequence[OpenStream]) -> list[bool]:
    return [stream.closed_because is not None for stream in streams]


async def test_they_are_counted_over_all_processes(redis_url: str) -> None:
    first, second = Process(redis_url, 5), Process(redis_url, 5)
    person = new_id()
    try:
        for process in (first, second):
            await process.open()
        opened = [await process.follow(person) for process in (first, second) * 3]
        other = await first.follow("somebody else")

        async def oldest_closed() -> bool:
            return opened[0].closed_because is not None

        await eventually(oldest_closed)
        assert await _closed([*opened, other]) == [True, False, False, False, False, False, False]
        first.signals._wake_all()  # as when the connection to Redis comes back: nobody is closed by that
        await asyncio.sleep(0)
        assert await _closed([*opened, other]) == [True, False, False, False, False, False, False]
    finally:
        for process in (first, second):
            await process.close()
