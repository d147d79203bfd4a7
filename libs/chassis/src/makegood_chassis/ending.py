"""Ends tasks, whatever they are waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable[asyncio.Task[Any]], *, again: float = 8.0) -> None:
    """Cancels the tasks and waits until all have ended; their errors are dropped.

    `again`: seconds after which those that still run are cancelled once more. It must be longer than any of them needs
    to finish its work. A wait that ends in the moment of a cancellation swallows it (`asyncio.wait_for` before Python
    3.12).
    """
    every = set(tasks)
    running = every
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again)
    await asyncio.gather(*every, return_exceptions=True)
