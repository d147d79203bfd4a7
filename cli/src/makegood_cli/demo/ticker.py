"""What passes on the topics, read by a consumer of its own: no service tells it anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from makegood_contracts.envelope import MalformedEvent, Received, decode
from makegood_contracts.topics import EVENT_TOPICS

from makegood_cli.errors import UserError


@dataclass(frozen=True)
class Seen:
    """An event as it came by. `latency`: seconds from the event's making to its arrival here."""

    topic: str
    received: Received[Any]
    latency: float

    @property
    def name(self) -> str:
        return type(self.received.event).__name__


class Ticker:
    """Watches all event topics from now on and keeps what is `about` the story."""

    def __init__(self, bootstrap: str, prefix: str, about: Callable[[Received[Any]], bool]) -> None:
        self._topics = [prefix + topic.name for topic in EVENT_TOPICS]
        self._prefix = prefix
        self._about = about
        self._consumer = AIOKafkaConsumer(*self._topics, bootstrap_servers=bootstrap, fetch_max_wait_ms=10)
        self._new: list[Seen] = []
        self._arrived = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ticker:
        await self._consumer.start()
        await self._consumer.seek_to_end()
        # seek_to_end is lazy: asking for the positions makes it happen before the story starts.
        await asyncio.gather(*(self._consumer.position(partition) for partition in self._consumer.assignment()))
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
        await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            polled = await self._consumer.getmany(timeout_ms=200)
            now = time.time()
            for records in polled.values():
                for record in records:
                    try:
                        received = decode(record.key, record.headers, record.value)
                    except MalformedEvent:
                        continue
                    if self._about(received):
                        topic = record.topic.removeprefix(self._prefix)
                        self._new.append(Seen(topic, received, now - received.time.timestamp()))
            self._arrived.set()

    async def until(self, *names: str, seconds: float = 20) -> list[Seen]:
        """The events since the last call, once one of each name is among them, in the order of their making.

        Raises UserError if they don't all come in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while not set(names) <= {seen.name for seen in self._new}:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            missing = sorted(set(names) - {seen.name for seen in self._new})
            raise UserError(f"waited {seconds:g} s for {', '.join(missing)}; see `makegood status`") from None
        new, self._new = self._new, []
        return sorted(new, key=lambda seen: seen.received.time)
