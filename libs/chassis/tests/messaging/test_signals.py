"""Wake-ups within a process, across processes through Redis, and without Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from makegood_chassis.signals import Signals
from makegood_stack.ports import free_port
from makegood_testkit.fault_proxy import FaultProxy
from makegood_testkit.waiting import eventually
from redis.asyncio.client import PubSub


@asynccontextmanager
async def opened(url: str, service: str = "test") -> AsyncIterator[Signals]:
    signals = Signals(url, service)
    await signals.open()
    try:
        yield signals
    finally:
        await signals.close()


async def nothing() -> None:
    return None


async def test_the_value_comes_at_once_within_the_process() -> None:
    async with opened("") as signals, signals.waiting("a") as waiter:
        signals.send({"b": 1, "a": "outcome"})
        assert await asyncio.wait_for(waiter.result(30, nothing), 20) == "outcome"


async def test_another_process_is_woken_to_look(redis_url: str) -> None:
    looked: list[str] = []

    async def look() -> str | None:
        return looked[0] if looked else None

    async with opened(redis_url, "one") as here, opened(redis_url, "one") as there:
        await eventually(lambda: here.connected and there.connected)
        async with here.waiting("a") as waiter:
            waiting = asyncio.create_task(waiter.result(30, look, every=30))
            looked.append("found")
            there.send({"a": "not carried over"})
            assert await asyncio.wait_for(waiting, 20) == "found"


async def test_without_redis_who_waits_looks_for_itself() -> None:
    gone = f"redis://127.0.0.1:{free_port()}/0"
    outcome: list[str] = []

    async def look() -> str | None:
        return outcome[0] if outcome else None

    async with opened(gone) as signals, signals.waiting("a") as waiter:
        waiting = asyncio.create_task(waiter.result(30, look, every=0.05))
        signals.send({"x": 1})
        outcome.append("found")
        assert await asyncio.wait_for(waiting, 20) == "found"
        assert not signals.connected


@pytest.mark.rule("REL-9")
async def test_a_redis_that_falls_silent_is_noticed_and_so_is_its_return(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makegood_chassis.signals._QUIET", 1.0)
    asked = []
    ping = PubSub.ping

    async def counted(subscription: PubSub) -> None:
        asked.append(subscription)
        await ping(subscription)

    monkeypatch.setattr(PubSub, "ping", counted)
    with FaultProxy(urlsplit(redis_url).port or 0) as proxy:
        async with opened(proxy.before(redis_url)) as signals:
            await eventually(lambda: len(asked) == 3)  # quiet, and not lost
            assert signals.connected
            assert len(set(asked)) == 1, "each answer was heard, so it never subscribed again"
            proxy.begin("silent")
            await eventually(lambda: not signals.connected)
            proxy.heal()
            await eventually(lambda: signals.connected)


async def test_the_wait_ends_without_an_outcome() -> None:
    async with opened("") as signals, signals.waiting("a") as waiter:
        assert await waiter.result(0.05, nothing, every=0.01) is None


async def test_a_process_that_stops_ends_all_waits() -> None:
    async with opened("") as signals, signals.waiting("a") as waiter:
        waiting = asyncio.create_task(waiter.result(60, nothing, every=60))
        await asyncio.sleep(0)
        signals.end_waits()
        assert await asyncio.wait_for(waiting, 20) is None


async def test_a_stream_keeps_the_newest_when_nobody_reads() -> None:
    async with opened("") as signals:
        stream = signals.listen("a")
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(1000):
            signals.send({"a": number})
        assert await asyncio.wait_for(first, 20) == 1000 - 256
        assert await anext(stream) == 1000 - 255
        await stream.aclose()  # type: ignore[attr-defined]
        assert not signals.is_awaited("a")


@pytest.mark.slow
@pytest.mark.rule("REL-9")
async def test_redis_goes_and_comes_back(own_servers: Any) -> None:
    redis = own_servers.redis()
    async with opened(redis.url) as here, opened(redis.url) as there:
        await eventually(lambda: here.connected and there.connected)
        await asyncio.to_thread(redis.kill)
        here.send({"a": 1})
        await eventually(lambda: not here.connected and not there.connected)
        await asyncio.to_thread(redis.start)
        await eventually(lambda: here.connected and there.connected)
        woken = asyncio.Event()

        async def look() -> bool | None:
            woken.set()
            return None

        async with here.waiting("a") as waiter:
            waiting = asyncio.create_task(waiter.result(30, look, every=30))

            async def heard() -> bool:
                there.send({"a": 1})
                return woken.is_set()

            await eventually(heard)
            waiting.cancel()
