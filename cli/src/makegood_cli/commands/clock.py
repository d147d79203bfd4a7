"""`clock`: reads and advances the development clock of all four services."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from makegood_stack.config import Stack
from makegood_stack.devclock import DevelopmentClock
from makegood_stack.home import Home

from makegood_cli.duration import parse_duration

clock = typer.Typer(help="Read or advance the development clock. Works in development only.", no_args_is_help=True)


@clock.command()
def now() -> None:
    """Print the platform's current time."""

    async def ask() -> str:
        async with DevelopmentClock.of(Stack.of(Home.find())) as clocks:
            return str((await clocks.now())["booking"]["now"])

    sys.stdout.write(asyncio.run(ask()) + "\n")


@clock.command()
def advance(
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="For example 90s, 15m, 48h or 25d.")],
) -> None:
    """Advance the clock and wait until all deadlines are handled."""
    by = parse_duration(duration)

    async def move() -> str:
        async with DevelopmentClock.of(Stack.of(Home.find())) as clocks:
            return await clocks.advance(by)

    sys.stdout.write(asyncio.run(move()) + "\n")


def register(app: typer.Typer) -> None:
    app.add_typer(clock, name="clock")
