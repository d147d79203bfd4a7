"""Time and chance under the simulator's control: a clock that only it moves, and ids that follow from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from makegood_chassis import real_time
from makegood_chassis.clock import Clock
from makegood_contracts import ids

START = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
"""When every schedule begins: a Monday morning."""
_TICK = 0.01
"""Seconds of real time that each step takes."""


class VirtualTime:
    """Product time, which the steps move, and real time, which only creeps."""

    def __init__(self) -> None:
        self.now = START
        self._real = START.timestamp()

    def tick(self) -> None:
        self._real += _TICK

    @property
    def real(self) -> float:
        """Seconds since 1970."""
        return self._real


class SkewedClock(Clock):
    """The clock of one host, which may be some seconds off."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time
        self.skew = timedelta()

    def now(self) -> datetime:
        return self._time.now + self.skew


@contextmanager
def under_control(time: VirtualTime, seed: int) -> Iterator[None]:
    """Whatever asks for real time, an id or a random number gets the simulator's, as long as this lasts."""
    chance = random.Random(seed)
    made = 0

    def uuid7() -> UUID:
        nonlocal made
        made += 1
        stamp = int(START.timestamp() * 1000) + made
        return UUID(int=stamp << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))

    clock: Any = real_time
    names: Any = ids
    before = (clock.time, clock._PROCESS._offset, names.uuid7, random.getstate())
    clock.time = SimpleNamespace(monotonic=lambda: time.real, time=lambda: time.real)
    clock._PROCESS._offset = 0.0
    names.uuid7 = uuid7
    random.seed(seed)
    try:
        yield
    finally:
        clock.time, clock._PROCESS._offset, names.uuid7, state = before
        random.setstate(state)
