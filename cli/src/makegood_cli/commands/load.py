"""`makegood load`: runs load scenarios against the running platform and prints the results as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
import uvloop
from makegood_stack.config import Stack
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES
from rich.console import Console

load = typer.Typer(help="Run load scenarios against the running platform. Results are JSON.", no_args_is_help=True)


def _run(work: Coroutine[Any, Any, dict[str, Any]]) -> None:
    result = uvloop.run(work)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _notes() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


@load.command()
def bookings(
    seconds: Annotated[
        float, typer.Option(min=1, max=600, metavar="SECONDS", help="Duration of the measurement.")
    ] = 15,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Number of concurrent clients.")] = 128,
    members: Annotated[int, typer.Option(min=1, max=4096, metavar="N", help="Number of members who book.")] = 256,
    providers: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Number of providers with slots.")] = 64,
) -> None:
    """Book sessions as fast as possible. Each booking waits for its outcome (`Prefer: wait`)."""
    _run(_bookings(seconds, concurrency, max(members, concurrency), providers))


async def _bookings(seconds: float, concurrency: int, members: int, providers: int) -> dict[str, Any]:
    from makegood_devtools.client import Gateway
    from makegood_devtools.seeding import populate
    from makegood_stack.devclock import DevelopmentClock
    from makegood_stack.processes import Supervisor

    from makegood_cli.load import bookings as scenario
    from makegood_cli.load.figures import ProcessorTime

    stack = Stack.of(Home.find())
    async with Gateway(stack.base_url, stack.home.identity) as gateway, DevelopmentClock.of(stack) as clock:
        now = datetime.fromisoformat(str((await clock.now())["booking"]["now"]))
        _notes().print(f"creating {members} members and {providers} providers")
        population = await populate(gateway, now, members=members, providers=providers, credits=100_000)
        pids = {name: running.pid for name, running in Supervisor(stack.home).running().items()}
        _notes().print(f"booking with {concurrency} clients for {seconds:g} s")
        return await scenario.measure(
            "127.0.0.1",
            stack.ports.of("gateway"),
            population,
            concurrency=concurrency,
            seconds=seconds,
            processes=ProcessorTime(pids),
        )


@load.command()
def misses(
    sessions: Annotated[int, typer.Option(min=20, max=20_000, metavar="N", help="Number of missed sessions.")] = 2_000,
    rate: Annotated[int, typer.Option(min=10, max=1_000, metavar="N", help="Missed sessions per second.")] = 200,
    burst: Annotated[
        int, typer.Option(min=1, max=1_000, metavar="N", help="Number of sessions missed at the same moment.")
    ] = 1,
) -> None:
    """Have sessions missed at a steady rate, and measure how soon credits return and e-mails go out.

    Moves the development clock.
    """
    _run(_misses(sessions, rate, burst))


async def _misses(sessions: int, rate: int, burst: int) -> dict[str, Any]:
    from makegood_devtools.client import Gateway
    from makegood_devtools.seeding import populate
    from makegood_stack.devclock import DevelopmentClock
    from makegood_stack.processes import Supervisor

    from makegood_cli.load import misses as scenario
    from makegood_cli.load.figures import ProcessorTime

    stack = Stack.of(Home.find())
    async with Gateway(stack.base_url, stack.home.identity) as gateway, DevelopmentClock.of(stack) as clock:
        now = datetime.fromisoformat(str((await clock.now())["booking"]["now"]))
        _notes().print(f"creating {rate} providers, {rate} members and {sessions} confirmed sessions")
        population = await populate(gateway, now, members=rate, providers=rate, credits=100_000, mailboxes=True)
        await clock.advance(population.first_day - now - timedelta(minutes=1))

        async def move_booking_clock(moment: datetime) -> None:
            await clock.move(("booking",), moment)

        async def move_other_clocks(moment: datetime) -> float:
            await clock.settle()
            ahead = (moment - datetime.now(UTC)).total_seconds()
            await clock.move([service for service in SERVICES if service != "booking"], moment)
            await clock.settle()
            return ahead

        pids = {name: running.pid for name, running in Supervisor(stack.home).running().items()}
        try:
            return await scenario.measure(
                gateway,
                stack.kafka,
                stack.topic_prefix(),
                population,
                move_booking_clock,
                move_other_clocks,
                sessions=sessions,
                burst=burst,
                prepared=lambda: _notes().print(f"missing {rate} sessions a second"),
                processes=ProcessorTime({**pids, "load": os.getpid()}),
            )
        finally:
            # Bring the other services' clocks in line again.
            await clock.advance(timedelta(seconds=1))


def register(app: typer.Typer) -> None:
    app.add_typer(load, name="load")
