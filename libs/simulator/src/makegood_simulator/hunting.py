"""Looks for planted bugs: plays one seed after the other until one fails."""

from __future__ import annotations

import time
from dataclasses import dataclass

from makegood_simulator.planted import PlantedBug
from makegood_simulator.running import Played, Simulator


@dataclass(frozen=True)
class Hunt:
    """What came of looking for one bug."""

    bug: PlantedBug
    found: Played | None
    schedules: int
    seconds: float


async def hunt(simulator: Simulator, bug: PlantedBug, *, first_seed: int = 1, seconds: float = 60.0) -> Hunt:
    """Plays schedules with the bug in the code, for at most about `seconds` of processor time: how long that takes
    depends on what else the machine does."""
    began, seed = time.process_time(), first_seed
    before, simulator.fault = simulator.fault, bug.plant
    try:
        while time.process_time() - began < seconds:
            played = await simulator.seeded(seed)
            if played.violation is not None:
                return Hunt(bug, played, seed - first_seed + 1, time.process_time() - began)
            seed += 1
    finally:
        simulator.fault = before
    return Hunt(bug, None, seed - first_seed, time.process_time() - began)
