"""Which live streams are open: a few for each person, and no more in total than a process can serve.

Each process counts its own. With Redis, a person's streams are counted over all processes. If Redis loses its data, each process
counts for itself again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from makegood_chassis import metrics
from makegood_chassis.http.problems import Problem
from makegood_chassis.signals import Signals
from makegood_contracts.ids import new_id

from makegood_notifications.metrics import STREAMS

LONGEST: Final = 3600.0
"""Seconds that a stream can last, because no token lasts longer. Older entries in the list are gone."""
TOO_MANY: Final = "too-many-streams"
RETRY_AFTER: Final = 10
"""Seconds after which a client may try again if the process is full."""
GRACE: Final = 5.0
"""Seconds that a client app has to read the last event of its stream."""


class OpenStream:
    """One client app's stream. It is signalled when something may have happened for its person, or when it has to end."""

    def __init__(self, person_id: str, break_off: Callable[[], None]) -> None:
        self.id = new_id()
        self.person_id = person_id
        self.ended = False
        self._break_off = break_off
        self.closed_because: str | None = None
        self.over = False
        """Whether the process is stopping."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def close(self, reason: str) -> None:
        """Ends the stream and tells the client app why. If the app does not read that, the connection is closed."""
        if self.closed_because is None:
            self.closed_because = reason
            self.ring()
            asyncio.get_running_loop().call_later(GRACE, self._end)

    def _end(self) -> None:
        if not self.ended:
            self._break_off()

    async def rest(self, seconds: float) -> bool:
        """Waits at most `seconds` for a signal. Returns whether there was one."""
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Streams:
    """`each`: the most streams of one person; one more closes the oldest. `total`: the most streams of this process."""

    def __init__(self, signals: Signals, *, each: int, total: int) -> None:
        self._signals = signals
        self._each = each
        self._total = total
        self._open: dict[str, OpenStream] = {}
        STREAMS.set_function(lambda: len(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, person_id: str, break_off: Callable[[], None]) -> OpenStream:
        """Opens a stream of the person. `break_off` ends its connection. Raises 503 `unavailable` if the process is full. Every
        `enter` needs a `leave`."""
        own = [
            stream for stream in self._open.values() if stream.person_id == person_id
        ]  # in the order in which they were opened
        for oldest in own[: max(0, len(own) + 1 - self._each)]:
            self._close(oldest.id)
        if len(self._open) >= self._total:
            metrics.REQUESTS_REFUSED.labels("total", "streams").inc()
            raise Problem(
                "unavailable", "Too many streams are open; try again.", headers={"Retry-After": str(RETRY_AFTER)}
            )
        stream = OpenStream(person_id, break_off)
        self._open[stream.id] = stream
        return stream

    def leave(self, stream: OpenStream) -> None:
        stream.ended = True
        self._open.pop(stream.id, None)

    @asynccontextmanager
    async def following(self, stream: OpenStream) -> AsyncIterator[None]:
        """While the stream is open, signals reach it, and it counts in all processes."""
        person_id = stream.person_id
        tasks = [
            asyncio.create_task(self._rings(stream, f"stream:{person_id}")),
            asyncio.create_task(self._closes(stream)),
        ]
        try:
            listed = f"streams:{person_id}"
            for surplus in await self._signals.enlist(listed, stream.id, most=self._each, seconds=LONGEST):
                self._close(surplus)
            yield
        finally:
            for task in tasks:
                task.cancel()
            self._signals.delist(f"streams:{person_id}", stream.id)

    def _close(self, stream_id: str) -> None:
        """Closes a stream of this process, or asks the others to."""
        metrics.REQUESTS_REFUSED.labels("person", "streams").inc()
        stream = self._open.pop(stream_id, None)
        if stream is not None:
            stream.close(TOO_MANY)
        else:
            self._signals.send({_closing(stream_id): TOO_MANY})

    async def _rings(self, stream: OpenStream, key: str) -> None:
        async for _ in self._signals.listen(key):
            stream.ring()
        stream.over = True
        stream.ring()

    async def _closes(self, stream: OpenStream) -> None:
        async for signal in self._signals.listen(_closing(stream.id)):
            if signal is not None:
                self._open.pop(stream.id, None)
                stream.close(TOO_MANY)


def _closing(stream_id: str) -> str:
    return f"stream-closed:{stream_id}"
