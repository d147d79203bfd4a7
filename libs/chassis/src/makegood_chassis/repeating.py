"""Work that is repeated regularly, besides requests and events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.metrics import TASK_SUCCESS

_log = structlog.get_logger(__name__)


async def repeat(
    job: Callable[[], Awaitable[bool | None]],
    every: float,
    *,
    soon: bool = True,
    spread: bool = False,
    wake: asyncio.Event | None = None,
    name: str = "",
) -> None:
    """Runs `job` at this interval until cancelled, and again at once while it returns that more is left. Waits for
    servers that cannot be reached, and raises any other error. `soon`: starts at once. `spread`: pauses vary by half,
    so that processes do not all run it at the same time. `wake` ends a pause.
    `name`: under which metrics say when it last succeeded.
    """
    wake = wake or asyncio.Event()
    failing, first = False, True
    while True:
        if soon or not first:
            wake.clear()
            try:
                more = await job()
                failing = False
                if name:
                    TASK_SUCCESS.labels(name).set_to_current_time()
            except Exception as error:
                if not is_transient(error):
                    raise
                if not failing:
                    _log.warning(
                        "job is waiting for a server", job=getattr(job, "__qualname__", ""), error=type(error).__name__
                    )
                failing, more = True, False
            if more:
                continue
        first = False
        with suppress(TimeoutError):
            async with asyncio.timeout(every * (0.5 + random.random()) if spread else every):
                await wake.wait()
