"""Keeps a part of the process running: after an unexpected error, it starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from makegood_chassis import metrics, observe
from makegood_chassis.health import Health

_log = structlog.get_logger(__name__)


async def supervise(name: str, body: Callable[[], Awaitable[None]], health: Health, stop: asyncio.Event) -> None:
    """Runs `body` until it returns, `stop` is set after an error, or this task is cancelled.

    A cancellation that nobody asked for is an error like others: a library's, or a task's that `body` waited for.
    """
    loop = asyncio.get_running_loop()
    itself = asyncio.current_task()
    assert itself is not None
    pause = 0.2
    while True:
        started = loop.time()
        try:
            await body()
            return
        except asyncio.CancelledError as error:
            if itself.cancelling():
                raise
            failure: BaseException = error
        except Exception as error:
            failure = error
        told = type(failure).__name__
        metrics.COMPONENT_RESTARTS.labels(name, told).inc()
        _log.error("component failed", component=name, error=told, frames=observe.frames(failure))
        health.set_unhealthy(name, f"failed: {told}")
        pause = 0.2 if loop.time() - started > 60 else min(pause * 2, 10.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()
        if stop.is_set():
            return
        health.set_healthy(name)
