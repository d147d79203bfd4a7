"""Tasks end when they are told to, also those that miss it."""

from __future__ import annotations

import asyncio

from makegood_chassis.ending import end


async def test_a_task_that_swallowed_its_cancellation_is_told_again() -> None:
    told = 0

    async def deaf_once() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1
                if told == 2:
                    raise

    async def broken() -> None:
        raise ValueError

    tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(tasks, again=0.01)
    assert (told, [task.done() for task in tasks]) == (2, [True, True])


async def test_a_task_that_finishes_what_it_has_in_hand_is_not_disturbed() -> None:
    finished = asyncio.Event()

    async def careful() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            finished.set()

    task = asyncio.create_task(careful())
    await asyncio.sleep(0)
    await end([task])
    assert finished.is_set()


async def test_nothing_to_end_is_no_wait() -> None:
    await end([])
