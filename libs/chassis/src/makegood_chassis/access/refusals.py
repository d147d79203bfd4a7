"""Writes down refused looks, at a pace that one caller cannot fill a disk with.

A caller has `_BURST` rows at once and two a minute from then on. What comes faster is counted, and the count is written with
the caller's next row, at the latest after a minute: the row's `times`. The count lives in the process; a kill loses it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from makegood_chassis.access.request import Accesses
from makegood_chassis.database import Database

_BURST: Final = 30.0
_A_SECOND: Final = 2 / 60
_AT_LATEST: Final = 60.0
_CALLERS: Final = 10_000
"""Callers that are remembered; the one who was refused longest ago is forgotten first."""
_PATIENCE: Final = 2.0
"""Seconds that a refusal waits for its row; it is answered anyway."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Caller:
    left: float
    seen: float
    counted: int = 0
    last: Accesses | None = None


class Refusals:
    """One a process that serves requests."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._flushing: asyncio.Task[None] | None = None

    async def keep(self, accesses: Accesses) -> None:
        """Writes the refusal, or counts it. Never raises: who is refused is told so, whatever becomes of the row."""
        caller = self._caller(accesses.caller)
        if caller.left < 1:
            caller.counted, caller.last = caller.counted + 1, accesses
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.create_task(self._flush_later())
            return
        caller.left -= 1
        counted, caller.counted, caller.last = caller.counted, 0, None
        await self._write(accesses, counted)

    def _caller(self, name: str) -> _Caller:
        now = self._clock()
        caller = self._callers.pop(name, None) or _Caller(_BURST, now)
        caller.left = min(_BURST, caller.left + (now - caller.seen) * _A_SECOND)
        caller.seen = now
        self._callers[name] = caller
        if len(self._callers) > _CALLERS:
            self._callers.popitem(last=False)
        return caller

    async def _write(self, accesses: Accesses, counted: int) -> None:
        try:
            async with asyncio.timeout(_PATIENCE), self._database.reading() as queries:
                await accesses.keep(queries)
                if counted:
                    await accesses.write(queries, [(None, None)], times=counted)
        except Exception as error:
            _log.error("a refusal was not written down", error=type(error).__name__, operation=accesses.operation)

    async def flush(self) -> None:
        """Writes every count, one row a caller."""
        for caller in list(self._callers.values()):
            counted, last = caller.counted, caller.last
            caller.counted, caller.last = 0, None
            if counted and last is not None:
                last.notes = {(None, None): None}
                try:
                    async with self._database.reading() as queries:
                        await last.keep(queries, times=counted)
                except Exception as error:
                    _log.error("refusals were not written down", error=type(error).__name__, refusals=counted)

    async def _flush_later(self) -> None:
        await asyncio.sleep(_AT_LATEST)
        await self.flush()
