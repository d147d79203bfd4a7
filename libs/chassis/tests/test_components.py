"""A part of the process that fails starts again, whatever ended it."""

from __future__ import annotations

import asyncio

import pytest
from makegood_chassis.components import supervise
from makegood_chassis.health import Health
from makegood_testkit.waiting import eventually


@pytest.mark.rule("REL-9")
@pytest.mark.parametrize("error", [ValueError("a bug"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_a_part_that_ends_by_an_error_starts_again(error: BaseException) -> None:
    """A library that cancels its own task and waits for it raises CancelledError, too: nobody asked this part to end."""
    begun = 0
    health = Health()

    async def body() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise error
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise("consumer", body, health, asyncio.Event()))
    await eventually(lambda: begun == 2)
    await eventually(lambda: not health.problems())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun == 2
