"""What `makegood simulate` does: plays seeds, shrinks what fails, tells it as a story, and looks for planted bugs."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from makegood_devtools.errors import UserError
from makegood_stack.embedded import EmbeddedServers
from makegood_testkit.databases import Databases

from makegood_simulator.hunting import Hunt, hunt
from makegood_simulator.planted import PLANTED
from makegood_simulator.rare import SOMETIMES, never
from makegood_simulator.running import Played, Simulator
from makegood_simulator.shrinking import shrink
from makegood_simulator.steps import Step, dumps, loads
from makegood_simulator.story import story

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line. Durations are in seconds."""

    seed: int = 1
    schedules: int = 1
    sessions: int | None = None
    replay: Path | None = None
    planted: str = ""
    shrink_for: float = 120.0
    save: Path | None = None


def simulate(options: Options, say: Say) -> bool:
    """Does it. Returns whether everything was as it must be."""
    written = None if options.replay is None else _read(options.replay)
    with _quiet_logs(), EmbeddedServers() as servers, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(servers.postgres().url, Path(folder), options, written, say))


async def _run(
    admin_url: str, folder: Path, options: Options, written: tuple[int, list[Step]] | None, say: Say
) -> bool:
    simulator = Simulator(Databases(admin_url), admin_url, folder)
    await simulator.prepare()
    if written is not None:
        return await _replay(simulator, *written, say)
    if options.planted:
        return await _hunt(simulator, options, say)
    return await _seeds(simulator, options, say)


async def _seeds(simulator: Simulator, options: Options, say: Say) -> bool:
    counts: Counter[str] = Counter()
    began, events = time.perf_counter(), 0
    for seed in range(options.seed, options.seed + options.schedules):
        played = await simulator.seeded(seed, sessions=options.sessions)
        counts.update(played.counts)
        events += played.events
        if played.violation is not None:
            say(f"seed {seed}: failed after {played.violation.step} steps: {played.violation.found}")
            await _explain(simulator, played, options, say)
            return False
        say(
            f"seed {seed}: {len(played.steps)} steps, {played.events} events, {played.counts['crash']} crashes, {played.seconds:.1f} s"
        )
    minutes = (time.perf_counter() - began) / 60
    missing = never(counts)
    say(
        f"no violation in {options.schedules} schedules; {options.schedules / minutes:.0f} schedules and "
        f"{events / minutes:.0f} events a minute; {len(SOMETIMES) - len(missing)} of {len(SOMETIMES)} rare paths reached"
    )
    for name in missing:
        say(f"  never: {name}")
    return True


async def _explain(simulator: Simulator, failed: Played, options: Options, say: Say) -> None:
    def tell(left: int, played: int) -> None:
        if played % 20 == 0:
            say(f"  shrinking: {left} steps left after {played} schedules")

    shortest = await shrink(
        failed, lambda steps: simulator.again(failed.seed, steps), seconds=options.shrink_for, tell=tell
    )
    place = options.save or Path(f"schedule-{failed.seed}.json")
    place.write_text(dumps(failed.seed, shortest.steps))
    say("")
    say(story(shortest))
    say("")
    say(f"Play it again: makegood simulate --replay {place}")
    say(f"Make it a test: mv {place} libs/simulator/tests/schedules/")


def _read(place: Path) -> tuple[int, list[Step]]:
    try:
        return loads(place.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place} is not a schedule ({error})", exit_code=2) from error


async def _replay(simulator: Simulator, seed: int, steps: Sequence[Step], say: Say) -> bool:
    played = await simulator.again(seed, steps)
    say(story(played) if played.violation is not None else f"no violation in {len(steps)} steps")
    return played.violation is None


async def _hunt(simulator: Simulator, options: Options, say: Say) -> bool:
    names: Sequence[str] = list(PLANTED) if options.planted == "all" else options.planted.split(",")
    if unknown := [name for name in names if name not in PLANTED]:
        raise UserError(f"no planted bug is called {unknown[0]}. There are: {', '.join(PLANTED)}", exit_code=2)
    hunts: list[Hunt] = []
    for name in names:
        hunts.append(await hunt(simulator, PLANTED[name], first_seed=options.seed))
        say(_told(hunts[-1]))
    found = sum(one.found is not None for one in hunts)
    say(f"{found} of {len(hunts)} planted bugs found")
    return found == len(hunts)


def _told(one: Hunt) -> str:
    played = one.found
    if played is None or played.violation is None:
        return f"NOT FOUND  {one.bug.name}: {one.bug.says} ({one.schedules} schedules, {one.seconds:.0f} s)"
    return f"found      {one.bug.name}: {one.bug.says} ({one.schedules} schedules, {one.seconds:.1f} s) {played.violation.found}"


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """What the services log about the faults that the schedules are made of is of no use to anybody."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.reset_defaults()
