"""Waiting for something to become true, without sleeping for a guessed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

_PAUSE = 0.01


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
            pytest.fail(f"waited {seconds:g} s in vain {('for ' + what) if what else ''}")
        await asyncio.sleep(_PAUSE)
