"""Lets clients use a platform while its parts are killed and paused, and returns what they saw."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from makegood_testkit.chaos import drained
from makegood_testkit.histories.credits import CreditClients
from makegood_testkit.histories.disturbing import Disturbance, disturb
from makegood_testkit.histories.record import History
from makegood_testkit.histories.slots import SlotClients
from makegood_testkit.platform import Platform


async def observe(
    platform: Platform,
    disturbances: Sequence[Disturbance],
    *,
    between: float,
    longest_pause: float = 9.0,
    providers: int = 3,
    members: int = 3,
    seed: int = 0,
) -> tuple[History, Counter[str]]:
    """The history, which ends with what is there once the platform has drained, and how often each thing was done to it."""
    history = History()
    slots = await SlotClients.prepare(platform, history, providers=providers, seed=seed)
    credits = await CreditClients.prepare(platform, history, members=members, seed=seed)
    async with asyncio.TaskGroup() as group:
        for client in (*slots.clients(), *credits.clients()):
            group.create_task(client)
        try:
            done = await disturb(platform, disturbances, between=between, longest_pause=longest_pause, seed=seed)
            await asyncio.sleep(between)
        finally:
            slots.stop()
            credits.stop()
    await drained(platform)
    history.drained()
    await slots.read_at_the_end()
    await credits.read_at_the_end()
    return history, done
