"""`makegood demo`: starts the platform, plays a story through the gateway, and leaves everything running."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

import typer
from makegood_devtools.errors import UserError
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home
from rich.console import Console

STORIES = ("provider-missed", "late-cancellation", "why-cant-i-book")
"""The names in `demo/stories.py`, repeated so that `--help` does not import the stories."""


def demo(
    story: Annotated[str, typer.Argument(metavar="STORY", help=f"One of {', '.join(STORIES)}.")] = "provider-missed",
    stack: Annotated[
        str, typer.Option(metavar="embedded|compose", help="Run the servers from packages or in containers.")
    ] = "embedded",
    port_offset: Annotated[
        int | None, typer.Option(metavar="N", help="Add N to every port. Kept for later commands.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Show the traces of the booking and of the missed session, with durations.")
    ] = False,
) -> None:
    """Start the platform and play a story.

    All requests go through the gateway, and you see the events that they cause.
    """
    if trace and stack != "embedded":
        raise UserError("--trace needs --stack embedded", exit_code=2)
    if story not in STORIES:
        raise UserError(f"unknown story {story}. Choose one of {', '.join(STORIES)}", exit_code=2)
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    if stack == "embedded":
        running = _start_embedded(console, port_offset, trace=trace)
    elif stack == "compose":
        running = _start_compose(console, port_offset)
    else:
        raise UserError(f"--stack {stack}: choose embedded or compose", exit_code=2)
    up_after = time.monotonic() - began
    first_booking: list[float] = []
    asyncio.run(_play(story, running, console, lambda: first_booking.append(time.monotonic() - began), trace=trace))
    _farewell(console, running, stack)
    console.print(f"\n[dim]ready after {up_after:.1f} s, first booking after {first_booking[0]:.1f} s[/]")


def _start_embedded(console: Console, port_offset: int | None, *, trace: bool) -> Stack:
    from makegood_stack import up as starting

    home = Home.find()
    # The story needs processes for all roles, whatever role an earlier `up` chose. The scale is kept.
    choices = Choices.remembered(home).changed(port_offset, "all", [])
    if trace:
        # The development tools keep the spans. The next `makegood up` without this restarts the processes without traces.
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Stack(home, choices).mail_url
        os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "500"
    stack = starting.up(home, choices, console)
    if choices.words:
        console.print(f"  options from earlier commands: {choices.words}")
    return stack


def _start_compose(console: Console, port_offset: int | None) -> Stack:
    from makegood_stack import compose

    return compose.up(Home.find(), port_offset or 0, console)


async def _play(story: str, stack: Stack, console: Console, first_booking: Callable[[], None], *, trace: bool) -> None:
    from makegood_devtools.client import Gateway
    from makegood_stack.devclock import DevelopmentClock

    from makegood_cli.demo.screen import Screen
    from makegood_cli.demo.stage import Stage
    from makegood_cli.demo.stories import tell
    from makegood_cli.demo.trace import TraceReader

    traces = TraceReader(stack.mail_url) if trace else None
    async with Gateway(stack.base_url, stack.home.identity) as gateway, DevelopmentClock.of(stack) as clock:

        async def clock_now() -> datetime:
            return datetime.fromisoformat(str((await clock.now())["booking"]["now"]))

        async def advance_to(moment: datetime) -> None:
            await clock.advance(moment - await clock_now())

        await tell(
            story,
            Stage(
                gateway=gateway,
                bootstrap=stack.kafka,
                topic_prefix=stack.topic_prefix(),
                mail_url=stack.mail_url,
                screen=Screen(console),
                clock_now=clock_now,
                advance_to=advance_to,
                first_booking=first_booking,
                traces=traces,
            ),
        )


def _farewell(console: Console, stack: Stack, form: Literal["embedded", "compose"] | str) -> None:
    from makegood_cli.commands.stack import addresses

    console.print("\n[bold]Everything is running:[/]")
    for what, where in addresses(stack):
        console.print(f"  {what:<16} {where}")
    console.print("\n[bold]Try next:[/]")
    stop = "docker compose down" if form == "compose" else "makegood down"
    for command, about in (
        ("makegood demo late-cancellation", "another story; a third is why-cant-i-book"),
        ("makegood demo --trace", "see where the time goes, from the request to the e-mail"),
        ("makegood status", "processes, health, consumer lag, outbox age"),
        ("makegood topics tail", "watch events as they are published"),
        ("makegood audit", "check invariants across all services"),
        ("makegood token --role member --subject me", "get a token for curl"),
        ("makegood load bookings", "measure bookings per second"),
        (stop, "stop everything and keep the data"),
    ):
        name = command if command.startswith("docker") else f".venv/bin/{command}"
        console.print(f"  {name:<52} [dim]{about}[/]")


def register(app: typer.Typer) -> None:
    app.command()(demo)
