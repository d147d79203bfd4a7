"""Concurrent calls with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


async def together(limit: int, call: Callable[[A], Awaitable[T]], arguments: Iterable[A]) -> list[T]:
    """The results of `call` for all arguments, in order, with at most `limit` calls at a time."""
    gate = asyncio.Semaphore(limit)

    async def one(argument: A) -> T:
        async with gate:
            return await call(argument)

    return list(await asyncio.gather(*(one(argument) for argument in arguments)))
