"""Shrinking and the written form of schedules, without servers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from makegood_simulator.running import Played
from makegood_simulator.shrinking import shrink
from makegood_simulator.steps import Step, dumps, loads
from makegood_simulator.story import told
from makegood_simulator.world import Violation

STEPS = [Step("offsets", "booking", name=str(number)) for number in range(40)]


def played(steps: Sequence[Step]) -> Played:
    """Fails if the steps 7, 21 and 33 are there, in another way if only 7 is."""
    names = {step.name for step in steps}
    found = "both" if {"7", "21", "33"} <= names else "another" if "7" in names else None
    return Played(1, list(steps), Violation(found, len(steps)) if found else None)


async def play(steps: Sequence[Step]) -> Played:
    return played(steps)


@pytest.mark.rule("REL-11")
async def test_only_the_steps_that_it_needs_are_left() -> None:
    short = await shrink(played(STEPS), play, seconds=60)
    assert [step.name for step in short.steps] == ["7", "21", "33"]


@pytest.mark.rule("REL-11")
async def test_a_crash_that_is_not_needed_goes_away() -> None:
    failed = played([Step("offsets", "booking", name=name, crash=("unit.flushed", 1)) for name in ("7", "21", "33")])
    assert [step.crash for step in (await shrink(failed, play, seconds=60)).steps] == [None, None, None]


def test_a_schedule_can_be_written_down() -> None:
    steps = [
        Step("request", name="book-1", does="book", options={"member": "robin"}, crash=("unit.committed", 2)),
        Step("deliver", "credits", chance=7),
    ]
    assert loads(dumps(3, steps)) == (3, steps)


def test_a_step_is_told_in_a_sentence() -> None:
    step = Step("send", "credits", options={"fault": "lost-ack"}, crash=("relay.sent", 2))
    assert told(step) == (
        "Credits sends what is in its outbox, and some acknowledgements are lost. "
        "It dies after it sent the events, before it deleted them, the 2nd time."
    )
