"""Tells the relay that the outbox has rows: by a callback within the process, by NOTIFY across processes.

At commit, NOTIFY takes a lock on the whole server. So it is never sent inside an effect's transaction, never twice at
once, and at most every few milliseconds. If one is lost, the relay's fallback poll finds the rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from makegood_chassis.messaging.failures import is_transient

CHANNEL: Final = "outbox"
_PAUSE: Final = 0.003
_log = structlog.get_logger(__name__)


class OutboxWake:
    """Holds one connection that listens and notifies. `event` is set whenever there may be rows."""

    def __init__(self, url: str, *, leads_here: Callable[[], bool] = lambda: False, listen: bool = True) -> None:
        self._url = url
        self._leads_here = leads_here
        self._listen = listen
        self.event = asyncio.Event()
        self.heard = False
        """Set with `event` if the rows may be those of another process."""
        self._tell = asyncio.Event()

    def published(self, _: object = None) -> None:
        """Call it from `Database.on_publish`: rows were committed in this process."""
        if self._leads_here():
            self.event.set()
        else:
            self._tell.set()

    def _hear(self) -> None:
        self.heard = True
        self.event.set()

    async def run(self) -> None:
        """Keeps the connection and sends notifications until cancelled."""
        while True:
            try:
                await self._connected()
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.info("outbox wake-up connection lost", error=type(error).__name__)
            await asyncio.sleep(0.5)

    async def _connected(self) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=5,
            command_timeout=10,
            # After a crash, the notification is worth nothing, so its commit need not wait for the disk.
            server_settings={"application_name": "makegood-wake", "synchronous_commit": "off"},
        )
        try:
            # If the connection ends, the loop below wakes as if there were news. It then notifies on the next connection.
            connection.add_termination_listener(lambda _: self._tell.set())
            if self._listen:
                await connection.add_listener(CHANNEL, lambda *_: self._hear())
                self._hear()
            while True:
                await self._tell.wait()
                if connection.is_closed():
                    raise ConnectionResetError
                self._tell.clear()
                if self._leads_here():
                    self._hear()
                else:
                    await connection.execute(f"NOTIFY {CHANNEL}")
                    await asyncio.sleep(_PAUSE)
        finally:
            connection.terminate()
