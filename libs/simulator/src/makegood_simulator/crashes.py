"""Crashes: a step may be told to die at a failpoint. Everything that it has in memory is then lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failpoints import Failpoint

T = TypeVar("T")


class Crash(BaseException):
    """The process dies here. No handler of exceptions may notice, so it is not an Exception."""


class Hung(Exception):
    """A step did not end."""


class Crashes:
    """Runs steps. `passed` counts the failpoints that were reached, `died` those at which a process died."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.died: Counter[str] = Counter()
        self._point: str | None = None
        self._left = 0
        self._dead = asyncio.Event()
        self._remove = failpoints.install(self._reached)

    def close(self) -> None:
        self._remove()

    def _reached(self, point: Failpoint) -> None:
        self.passed[point] += 1
        if self._dead.is_set():
            raise Crash(point)
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                self.died[point] += 1
                self._dead.set()
                raise Crash(point)

    async def run(self, step: Coroutine[Any, Any, T], at: tuple[str, int] | None, patience: float) -> T:
        """The step's result. Raises Crash if its process died, and Hung if it took more than `patience` seconds. Afterwards
        nothing of it is left: its other tasks are cancelled."""
        self._point, self._left = at or (None, 0)
        self._dead.clear()
        loop = asyncio.get_running_loop()
        before, handler = asyncio.all_tasks(), loop.get_exception_handler()
        loop.set_exception_handler(_pass_over_crashes)
        work = asyncio.ensure_future(step)
        death = asyncio.ensure_future(self._dead.wait())
        try:
            await asyncio.wait({work, death}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            crashed, hung = self._dead.is_set(), not work.done()
            death.cancel()
            if crashed or hung:
                await _end(asyncio.all_tasks() - before)
                if work.done() and not work.cancelled():
                    work.exception()
                if not crashed:
                    raise Hung(f"a step did not end within {patience:.0f} s")
                raise Crash(self._point)
            return work.result()
        finally:
            self._point = None
            self._dead.clear()
            loop.set_exception_handler(handler)


def _pass_over_crashes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody asks the tasks of a dead process how they ended."""
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
