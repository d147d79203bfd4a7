"""`backup`: takes a backup of the four databases, with the topics' offsets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from makegood_stack.config import Stack
from makegood_stack.home import Home

from makegood_cli.terminal import console


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet, or is empty.")],
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to put people's keys, to keep them apart. Default: DIR/keys."),
    ] = None,
    positions_only: Annotated[
        bool,
        typer.Option("--positions-only", help="Note offsets and write-ahead log positions only, and dump nothing."),
    ] = False,
) -> None:
    """Back up the four databases while the services run.

    All of them are of the same moment. The folder appears when the backup is complete.
    """
    from makegood_stack.backup.taking import KEYS, Wanted, take

    output = console()
    folder = folder.resolve()
    wanted = Wanted(folder, keys.resolve() if keys else folder / KEYS, positions_only)
    begun = time.monotonic()
    made = asyncio.run(take(Stack.of(Home.find()), wanted, lambda line: output.print(line, markup=False)))
    size = sum(file.bytes for file in made.files)
    output.print(
        f"backup {made.id} of {made.taken_at:%Y-%m-%d %H:%M:%S} UTC is complete: {folder} "
        f"({size / (1 << 20):.1f} MiB, {time.monotonic() - begun:.1f} s)",
        markup=False,
    )
    if not positions_only:
        output.print("It does not contain DATA_KEYS, without which nobody can read people's messages. Keep them apart.")


def register(app: typer.Typer) -> None:
    app.command()(backup)
