"""Logs refused accesses, at a limited rate, so that one caller cannot fill the disk.

A caller has `_BURST` rows at once, and two more a minute. Beyond that, repeats about the same people are counted, while
new people still get a row, so that every person who was looked for is named. Each count is written within a minute, as
the row's `times`. New people and counts have `PER_DAY` rows a day. Anything more is one count per caller, without a
person. Counts are in the memory of the process and lost if it is killed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from makegood_chassis.access.request import Accesses
from makegood_chassis.database import Database

_BURST: Final = 30.0
_A_SECOND: Final = 2 / 60
PER_DAY: Final = 3000.0
_DAY: Final = 24 * 3600.0
_AT_LATEST: Final = 60.0
_CALLERS: Final = 10_000
"""The number of callers to remember. The one refused longest ago is forgotten first."""
_PEOPLE: Final = 10_000
"""The number of groups of people to remember per caller, in the same way."""
_PATIENCE: Final = 2.0
"""Seconds that a refusal waits for its row to be written. It is answered anyway."""

_log = structlog.get_logger(__name__)

People = tuple[str | None, ...]
"""The people whom a refused request was about."""


@dataclass(slots=True)
class _Allowance:
    """The rows that may be written: a number at once, and as many again in `seconds`."""

    most: float
    seconds: float
    left: float
    seen: float

    def take(self, now: float, rows: int = 1) -> bool:
        self.left = min(self.most, self.left + (now - self.seen) * self.most / self.seconds)
        self.seen = now
        if self.left < rows:
            return False
        self.left -= rows
        return True


@dataclass(slots=True)
class _Caller:
    detailed: _Allowance
    """For all rows."""
    named: _Allowance
    """For rows about new people, and for counts that name people."""
    people: OrderedDict[People, int] = field(default_factory=OrderedDict)
    """The people to whose data the caller was refused access, and how often since that was last written."""
    others: int = 0
    """Refusals that are counted without a person."""
    last: Accesses | None = None


class Refusals:
    """One per process that serves requests."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.monotonic, *, per_day: float = PER_DAY
    ) -> None:
        self._database = database
        self._per_day = per_day
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._flushing: asyncio.Task[None] | None = None

    async def keep(self, accesses: Accesses) -> None:
        """Writes the refusal, or counts it. Never raises, because the caller gets the refusal even if it cannot be
        logged.
        """
        now, caller = self._clock(), self._caller(accesses.caller)
        people: People = tuple(sorted({person for person, _ in accesses.notes if person is not None})) or (None,)
        counted = caller.people.pop(people, None)
        written = caller.detailed.take(now) or (counted is None and caller.named.take(now, len(people)))
        if written or counted is not None:
            caller.people[people] = (counted or 0) + (not written)
        else:
            caller.others += 1
        if len(caller.people) > _PEOPLE:
            caller.others += caller.people.popitem(last=False)[1]
        if written:
            await self._write(accesses)
            return
        caller.last = accesses
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_later())

    def _caller(self, name: str) -> _Caller:
        now = self._clock()
        caller = self._callers.pop(name, None) or _Caller(
            _Allowance(_BURST, _BURST / _A_SECOND, _BURST, now), _Allowance(self._per_day, _DAY, self._per_day, now)
        )
        self._callers[name] = caller
        if len(self._callers) > _CALLERS:
            self._callers.popitem(last=False)
        return caller

    async def _write(self, accesses: Accesses) -> None:
        try:
            async with asyncio.timeout(_PATIENCE), self._database.reading() as queries:
                await accesses.keep(queries)
        except Exception as error:
            _log.error("a refusal was not logged", error=type(error).__name__, operation=accesses.operation)

    async def flush(self) -> None:
        """Writes every count, one row each."""
        for caller in list(self._callers.values()):
            last, counts = caller.last, self._counts(caller)
            if last is None or not counts:
                continue
            try:
                async with self._database.reading() as queries:
                    for people, count in counts:
                        await last.write(queries, [(person, None) for person in people], times=count)
            except Exception as error:
                _log.error("refusals were not logged", error=type(error).__name__, refusals=sum(n for _, n in counts))

    def _counts(self, caller: _Caller) -> list[tuple[People, int]]:
        """Returns what was counted, and starts again."""
        now, counts = self._clock(), []
        for people, count in caller.people.items():
            if not count:
                continue
            caller.people[people] = 0
            if caller.named.take(now, len(people)):
                counts.append((people, count))
            else:
                caller.others += count
        if caller.others:
            counts.append(((None,), caller.others))
        caller.others, caller.last = 0, None
        return counts

    async def _flush_later(self) -> None:
        while any(caller.last is not None for caller in self._callers.values()):
            await asyncio.sleep(_AT_LATEST)
            await self.flush()
