"""Schedules of faults over the services' real code: nothing that must hold breaks, and what is broken is found (REL-11)."""

from __future__ import annotations

from pathlib import Path

import pytest
from makegood_simulator.hunting import hunt
from makegood_simulator.planted import PLANTED
from makegood_simulator.running import Played, Simulator
from makegood_simulator.steps import dumps, loads
from makegood_simulator.story import story

SCHEDULES = Path(__file__).parent / "schedules"


def explained(played: Played) -> str:
    """What a failing run prints, from which the schedule can be played again."""
    return f"{story(played)}\n{dumps(played.seed, played.steps)}"


@pytest.mark.rule("REL-11")
async def test_the_same_steps_do_the_same(simulator: Simulator) -> None:
    once = await simulator.seeded(5, sessions=4)
    assert once.violation is None, explained(once)
    seed, steps = loads(dumps(once.seed, once.steps))
    again = await simulator.again(seed, steps)
    assert (again.digest, again.counts) == (once.digest, once.counts)


@pytest.mark.rule("REL-11")
@pytest.mark.parametrize("name", ["no-inbox", "delete-before-sending", "miss-forfeits"])
async def test_a_planted_bug_is_found(simulator: Simulator, name: str) -> None:
    found = (await hunt(simulator, PLANTED[name], seconds=300)).found
    assert found is not None


@pytest.mark.rule("REL-11")
async def test_a_schedule_that_was_written_down_fails_as_it_did(simulator: Simulator) -> None:
    simulator.fault = PLANTED["publish-before-commit"].plant
    played = await simulator.again(*loads((SCHEDULES / "an-event-without-its-effect.json").read_text()))
    assert played.violation is not None
    assert story(played).splitlines()[-1] == f"Then: {played.violation.found}."


@pytest.mark.rule("REL-11")
@pytest.mark.parametrize("name", sorted(path.name for path in SCHEDULES.glob("*.json")))
async def test_nothing_breaks(simulator: Simulator, name: str) -> None:
    """Schedules that were written down, because their seed may mean another schedule tomorrow."""
    played = await simulator.again(*loads((SCHEDULES / name).read_text()))
    assert played.violation is None, explained(played)
