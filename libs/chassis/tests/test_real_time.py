"""Real time follows the database's clock, not this machine's (REL-9)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from makegood_chassis import real_time
from makegood_chassis.clock import Clock
from makegood_chassis.real_time import RealTime
from makegood_chassis.server_probes import DatabaseProbe
from makegood_testkit.plugin import DatabaseFactory

pytestmark = pytest.mark.rule("REL-9")


@pytest.mark.parametrize("jump", [300, -300])
def test_a_jump_of_this_machines_clock_changes_nothing(jump: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Clock().now()
    jumped = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: jumped)
    assert timedelta() <= Clock().now() - before < timedelta(seconds=5)
    assert abs(real_time.now() - jumped) > 290


@pytest.mark.parametrize(("difference", "steps"), [(300, True), (-300, True), (0.4, False), (-0.4, False)])
def test_it_steps_only_to_what_differs_enough(difference: float, *, steps: bool) -> None:
    clock = RealTime()
    asked = time.monotonic()
    clock.follow(clock.now() + difference, asked, asked)
    assert (abs(clock.now() - time.time()) > 1) is steps


def test_a_slow_answer_is_no_reason_to_step() -> None:
    clock = RealTime()
    asked = time.monotonic()
    clock.follow(clock.now(), asked, asked + 2)
    assert abs(clock.now() - time.time()) < 0.5  # a step would be one second


async def test_a_process_that_was_wrong_has_the_databases_time_once_it_has_asked(
    database_factory: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: str) -> None: ...

    wrong = RealTime()
    wrong.follow(wrong.now() - 3600, time.monotonic(), time.monotonic())
    monkeypatch.setattr(real_time, "follow", wrong.follow)
    probe = DatabaseProbe(await database_factory("time", nothing), "test")
    await probe.ask()
    probe.close()
    assert abs(datetime.fromtimestamp(wrong.now(), UTC) - datetime.now(UTC)) < timedelta(seconds=2)
