"""Collects the events about certain people from the topics, for the demo."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from makegood_chassis.kafka_connection import Brokers
from makegood_contracts.envelope import Received
from makegood_contracts.topics import ACCESS, EVENT_TOPICS
from makegood_devtools.errors import UserError

from makegood_stack.tail import Tail


@dataclass(frozen=True)
class Passed:
    """An event that was read. `latency` is the time in seconds from the event to its arrival here."""

    topic: str
    received: Received[Any]
    latency: float

    @property
    def name(self) -> str:
        return type(self.received.event).__name__


class Ticker:
    """Follows the topics from now on and keeps events for which `about` is true, except access records (SEC-5)."""

    def __init__(self, bootstrap: Brokers, prefix: str, about: Callable[[Received[Any]], bool]) -> None:
        self._about = about
        told = [topic.name for topic in EVENT_TOPICS if topic not in ACCESS.values()]
        self._tail = Tail(bootstrap, told, prefix=prefix, wait_ms=10)
        self._new: list[Passed] = []
        self._arrived = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ticker:
        await self._tail.__aenter__()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
        await self._tail.__aexit__()

    async def _read(self) -> None:
        while True:
            for seen in await self._tail.batch():
                if seen.received is not None and self._about(seen.received):
                    self._new.append(Passed(seen.topic, seen.received, seen.latency or 0.0))
            self._arrived.set()

    async def until(self, *names: str, seconds: float = 20) -> list[Passed]:
        """Waits for events with these names and returns all events since the last call, in order of creation.

        Raises UserError if they do not arrive in time.
        """
        wanted = Counter(names)
        try:
            async with asyncio.timeout(seconds):
                while not wanted <= Counter(passed.name for passed in self._new):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            missing = sorted(wanted - Counter(passed.name for passed in self._new))
            raise UserError(f"waited {seconds:g} s for {', '.join(missing)}; see `makegood status`") from None
        new, self._new = self._new, []
        return sorted(new, key=lambda passed: passed.received.time)
