"""Bounds on seconds are as generous as the machine is busy, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from makegood_testkit.waiting import until
from makegood_testkit.weather import Weather


def test_what_else_runs_on_the_processor_stretches_the_time() -> None:
    processors = os.sched_getaffinity(0)
    neighbours = []
    try:
        os.sched_setaffinity(0, {min(processors)})  # children stay on it, too
        with Weather() as weather:
            time.sleep(1)
            alone = weather.stretch()
            neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
            begun = time.monotonic()
            until(lambda: weather.stretch(begun) > 1.5 * alone, what="a busy machine")
    finally:
        os.sched_setaffinity(0, processors)
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert alone >= 1
    assert weather.stretch(time.monotonic()) == 1, "nothing is known yet"
