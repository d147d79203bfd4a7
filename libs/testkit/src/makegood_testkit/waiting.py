"""Waiting for something to become true, without sleeping for a guessed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

_PAUSE = 0.01


def until(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "") -> None:
    """As `eventually`, for tests that are not async. Blocks."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(_in_vain(seconds, what))
        time.sleep(_PAUSE)


async def eventually(look: Callable[[], Awaitable[Any] | Any], *, seconds: float = 20.0, what: str = "") -> Any:
    """The first true result of `look`, plain or async. Fails the test after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(_in_vain(seconds, what))
        await asyncio.sleep(_PAUSE)


def _in_vain(seconds: float, what: str) -> str:
    return f"waited {seconds:g} s in vain{' for ' + what if what else ''}"
