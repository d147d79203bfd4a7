"""How busy this machine is while a test runs, so that bounds on seconds judge the product and not its neighbours."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

_WORK: Final = bytes(8 << 20)
"""What a piece of work goes through: some ten milliseconds of a processor."""
_EVERY: Final = 0.1
"""Seconds between two pieces of work."""
_WINDOW: Final = 2.0
"""Seconds over which pieces of work are added up, so that one late timer does not count."""


class Weather:
    """A context manager. Its thread does a small piece of work again and again.

    The time that the work takes, divided by the processor time in it, is how much longer everything takes at the moment: 1 on
    an idle machine. What waits for a timer takes no longer, so a bound that is multiplied with it is generous, but only on a
    machine that is busy.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque()
        """Of each piece of work: when it was over, how long it took, and how much processor time that was."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def stretch(self, since: float = 0.0) -> float:
        """How many times longer everything took since this moment (`time.monotonic()`), in the worst two seconds. At least 1."""
        worst, took, worked = 1.0, 0.0, 0.0
        window: deque[tuple[float, float, float]] = deque()
        for sample in tuple(self._samples):
            if sample[0] < since:
                continue
            window.append(sample)
            took, worked = took + sample[1], worked + sample[2]
            while window[0][0] < sample[0] - _WINDOW:
                _, first_took, first_worked = window.popleft()
                took, worked = took - first_took, worked - first_worked
            worst = max(worst, took / worked)
        return round(worst, 2)

    def _run(self) -> None:
        while not self._over.is_set():
            due = time.monotonic() + _EVERY
            self._over.wait(_EVERY)
            before = time.thread_time()
            hashlib.sha256(_WORK).digest()
            now = time.monotonic()
            self._samples.append((now, now - due, time.thread_time() - before))
