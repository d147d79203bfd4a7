"""What passes on the topics about one story, read by a consumer of its own: no service tells it anything."""

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
    """An event as it came by. `latency`: seconds from the event's making to its arrival here."""

    topic: str
    received: Received[Any]
    latency: float

    @property
    def name(self) -> str:
        return type(self.received.event).__name__


class Ticker:
    """Watches the topics from now on and keeps what is `about` the story; who looked at what (SEC-5) is none of it."""

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
        """The events since the last call, once each name is among them as often as it is given, in the order of their making.

        Raises UserError if they don't all come in time.
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
