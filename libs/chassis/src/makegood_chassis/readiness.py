"""Watches the servers, so that readiness is accurate even while the process is idle, and so that nobody waits long for a
database that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from makegood_chassis.server_probes import DatabaseProbe, KafkaProbe

if TYPE_CHECKING:
    from makegood_chassis.connections import Connections
    from makegood_chassis.health import Health

WATCH: Final = 1.0
"""Seconds between two requests to a server that answers."""
WATCH_CLOSELY: Final = 0.25
"""Seconds between two requests to a server that is away, so that the process is ready again as soon as it can be."""
ANSWER: Final = 2.5
"""Seconds that a server has for its answer. One that needs longer counts as away. One that needs two is slow."""
_STEPS: Final = 5
"""In so many steps this time is measured. A step that takes twice as long as it should does not count."""
_log = structlog.get_logger(__name__)


class ServerWatch:
    """Asks one server again and again, and keeps the condition `name` of `health`.

    `seen` is when the server last answered anybody in this process, as far as is known, by `time.monotonic()`. `changed` is
    called with False once the server has not answered in time, and with True once it answers again.
    """

    def __init__(
        self,
        health: Health,
        name: str,
        ask: Callable[[], Awaitable[None]],
        *,
        seen: Callable[[], float] = lambda: float("-inf"),
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._health = health
        self._name = name
        self._ask = ask
        self._seen = seen
        self._changed = changed
        self._silent = False

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            well = await self._look()
            await asyncio.sleep(WATCH if well else WATCH_CLOSELY)

    async def _look(self) -> bool:
        """Returns whether the server answers."""
        asking = asyncio.ensure_future(self._ask())
        try:
            await self._wait_for(asking)
            await asking
        except Exception as error:
            if not isinstance(error, TimeoutError):  # about which `_wait_for` has decided
                self._health.set_unhealthy(self._name, f"does not answer: {type(error).__name__}")
            return False
        finally:
            asking.cancel()
        self._health.set_healthy(self._name)
        if self._silent:
            self._silent = False
            _log.info("server answers again", server=self._name)
            self._changed(True)
        return True

    async def _wait_for(self, asking: asyncio.Future[None]) -> None:
        """Notes it if the server is silent for too long meanwhile."""
        asked = now = time.monotonic()
        while not asking.done():
            step = ANSWER / _STEPS
            due = now + step
            await asyncio.wait({asking}, timeout=step)
            now = time.monotonic()
            if now - due > step:
                asked = now  # this process was held up, so its clock says nothing about the server
            elif not asking.done() and now - max(asked, self._seen()) >= ANSWER:
                self._note_silence()

    def _note_silence(self) -> None:
        self._health.set_unhealthy(self._name, f"does not answer within {ANSWER:g} s")
        if not self._silent:
            self._silent = True
            _log.warning("server does not answer", server=self._name, seconds=ANSWER)
            self._changed(False)


async def watch_database(health: Health, probe: DatabaseProbe, pools: Sequence[Connections]) -> None:
    """Watches PostgreSQL until cancelled. While it does not answer, `pools`, which may become more, lend no connections."""

    def seen() -> float:
        return max((pool.answered_at for pool in pools), default=float("-inf"))

    def changed(answers: bool) -> None:
        for pool in pools:
            if answers:
                pool.resume()
            else:
                pool.suspend()

    changed(True)  # an earlier watch may have failed while the server was silent
    try:
        await ServerWatch(health, "database", probe.ask, seen=seen, changed=changed).run()
    finally:
        probe.close()


async def watch_kafka(health: Health, probe: KafkaProbe) -> None:
    """Watches Kafka until cancelled."""
    try:
        await ServerWatch(health, "kafka", probe.ask).run()
    finally:
        probe.close()
