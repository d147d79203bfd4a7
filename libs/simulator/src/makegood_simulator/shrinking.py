"""Makes a failing schedule short: takes away steps as long as it still fails in the same way (delta debugging)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from makegood_simulator.running import Played
from makegood_simulator.steps import Step

Play = Callable[[Sequence[Step]], Awaitable[Played]]
Tell = Callable[[int, int], None]
"""Told how many steps are left, and how many schedules were played for it."""


async def shrink(failed: Played, play: Play, *, seconds: float, tell: Tell = lambda left, played: None) -> Played:
    """The shortest schedule that was found within `seconds` and fails like `failed`. `play` plays a schedule."""
    assert failed.violation is not None
    kind, until, tried = failed.violation.kind, time.monotonic() + seconds, 0
    best = failed

    async def still_fails(steps: Sequence[Step]) -> bool:
        nonlocal best, tried
        tried += 1
        played = await play(steps)
        fails = played.violation is not None and played.violation.kind == kind
        if fails:
            best = played
        tell(len(best.steps), tried)
        return fails

    if not await still_fails(failed.steps[: failed.violation.step]):
        return failed
    for kind_of_step in sorted({step.kind for step in best.steps}):
        if time.monotonic() < until:
            await still_fails([step for step in best.steps if step.kind != kind_of_step])
    parts = 2
    while time.monotonic() < until and len(best.steps) > 1:
        size = -(-len(best.steps) // parts)
        for begin in range(0, len(best.steps), size):
            if time.monotonic() > until:
                return best
            if await still_fails(best.steps[:begin] + best.steps[begin + size :]):
                parts = max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(best.steps), parts * 2)
    for number, step in enumerate(best.steps):
        if step.crash is not None and time.monotonic() < until:
            await still_fails([*best.steps[:number], replace(step, crash=None), *best.steps[number + 1 :]])
    return best
