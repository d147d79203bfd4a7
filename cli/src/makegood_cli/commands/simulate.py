"""`makegood simulate`: plays seeded schedules of faults against the services' real code, on a virtual clock (REL-11)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from makegood_devtools.errors import UserError


def simulate(
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The first seed. The same seed is the same schedule.")
    ] = 1,
    schedules: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many seeds to play, one after the other.")
    ] = 1,
    sessions: Annotated[
        int | None, typer.Option(min=1, metavar="M", help="How long a schedule is, in bookings. Default: 300 steps.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Play this schedule instead, as a failed run saved it.")
    ] = None,
    planted: Annotated[
        str, typer.Option(metavar="NAME", help="Look for a planted bug, for several (a,b,c), or for `all`.")
    ] = "",
    shrink_for: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to look for a shorter schedule that fails.")
    ] = 120,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to save a schedule that fails.")] = None,
) -> None:
    """Play seeded schedules of crashes, duplicates, delays and clock jumps against the real services.

    Exits with 1 if something does not hold, or a planted bug is not found.
    """
    _with_fixed_hashes()
    try:
        from makegood_simulator import command
    except ImportError as error:
        raise UserError(f"the simulator is not installed ({error}). Install it with: make setup") from error
    options = command.Options(seed, schedules, sessions, replay, planted, shrink_for, save)
    if not command.simulate(options, _say):
        raise typer.Exit(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _with_fixed_hashes() -> None:
    """Starts again if this process gave strings random hashes: the order of sets is part of what a seed decides."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606 - itself  # nosec B606


def register(app: typer.Typer) -> None:
    app.command()(simulate)
