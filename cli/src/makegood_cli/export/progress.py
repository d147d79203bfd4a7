"""How far an export is: a bar for a terminal, lines for a log."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_BETWEEN = 10.0


class Progress:
    """Use as `with`. Writes to the standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("{task.fields[rate]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console,
            transient=True,
        ) if console.is_terminal else None  # fmt: skip
        self._began = self._told = time.monotonic()
        self._total = 0
        self.done = 0

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def begin(self, total: int) -> None:
        """`total`: the records that are there now."""
        self._total = total
        if self._bar is not None:
            self._task = self._bar.add_task("", total=total or None, rate="")

    def advance(self, records: int) -> None:
        self.done += records
        rate = f"{self.done / max(self.seconds, 0.001):,.0f}/s"
        if self._bar is not None:
            total = max(self._total, self.done)
            self._bar.update(self._task, completed=self.done, total=total, rate=rate)
        elif records and time.monotonic() - self._told > _BETWEEN:
            self._told = time.monotonic()
            self._console.print(f"{self.done:,} of {max(self._total, self.done):,} records, {rate}", markup=False)
