"""Runs schedules: chosen from a seed, or written down before."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from makegood_contracts.topics import SERVICES
from makegood_testkit.databases import Databases, with_parts

from makegood_simulator.choosing import Chooser, ending
from makegood_simulator.steps import Step
from makegood_simulator.tokens import Tokens
from makegood_simulator.virtual import VirtualTime, under_control
from makegood_simulator.world import Places, Violation, World

STEPS = 300
"""Steps of a schedule, unless the number of sessions is given."""
STEPS_PER_SESSION = 12

Fault = Callable[[], AbstractContextManager[None]]
"""Changes the code under test for as long as it is entered."""


@dataclass
class Played:
    """A schedule that was played, and what came of it."""

    seed: int
    steps: list[Step]
    violation: Violation | None = None
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    digest: int = 0
    """A checksum of the log, by which two runs can be compared."""

    @property
    def events(self) -> int:
        """Records of events on the log."""
        return sum(count for name, count in self.counts.items() if name.startswith("event "))


class Simulator:
    """Plays schedules on one PostgreSQL, each in fresh databases."""

    def __init__(self, databases: Databases, admin_url: str, folder: Path, *, fault: Fault = nullcontext) -> None:
        self._databases = databases
        self._admin_url = admin_url
        self._tokens = Tokens(folder)
        self.fault = fault

    async def prepare(self) -> None:
        """Makes what the first schedule would otherwise wait for: the databases' templates."""
        for service in SERVICES:
            await self._databases.drop(await self._databases.make(service))

    @asynccontextmanager
    async def _world(self, seed: int) -> AsyncIterator[World]:
        urls: dict[str, str] = {service: await self._databases.make(service) for service in SERVICES}
        admin = {
            service: with_parts(self._admin_url, database=urlsplit(url).path.lstrip("/"))
            for service, url in urls.items()
        }
        virtual = VirtualTime()
        try:
            with under_control(virtual, seed), self.fault():
                world = World(Places(urls, admin), self._tokens, virtual)
                try:
                    yield world
                finally:
                    await world.close()
        finally:
            for url in urls.values():
                await self._databases.drop(url)

    async def seeded(self, seed: int, *, sessions: int | None = None) -> Played:
        """Plays the schedule of this seed, until it has `sessions` bookings or a certain number of steps, or fails."""
        played = Played(seed, [])
        began = time.perf_counter()
        async with self._world(seed) as world:
            chooser = Chooser(seed)
            most = STEPS if sessions is None else STEPS_PER_SESSION * sessions
            try:
                await world.open()
                while len(played.steps) < most:
                    played.steps.append(await chooser.step(world))
                    await world.play(played.steps[-1])
                starts = [row["starts_at"] for row in (await world.sessions()).values()]
                for step in ending(world.time.now, starts):
                    played.steps.append(step)
                    await world.play(step)
            except Violation as violation:
                played.violation = violation
            _note(played, world)
        played.seconds = time.perf_counter() - began
        return played

    async def again(self, seed: int, steps: Sequence[Step]) -> Played:
        """Plays a schedule that was written down."""
        played = Played(seed, list(steps))
        began = time.perf_counter()
        async with self._world(seed) as world:
            try:
                await world.open()
                for step in steps:
                    await world.play(step)
            except Violation as violation:
                played.violation = violation
            _note(played, world)
        played.seconds = time.perf_counter() - began
        return played


def _note(played: Played, world: World) -> None:
    played.counts = world.counts
    played.counts.update({f"died at {point}": times for point, times in world.deaths.items()})
    played.digest = world.digest
