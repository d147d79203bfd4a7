"""`makegood demo`: starts the platform, walks a story through the gateway, leaves everything running."""

from __future__ import annotations

import asyncio
import subprocess
import time
from datetime import datetime
from typing import Annotated, Literal

import httpx
import typer
from rich.console import Console

from makegood_cli.errors import UserError
from makegood_cli.stack.config import Choices, Stack
from makegood_cli.stack.home import Home


def demo(
    stack: Annotated[
        str, typer.Option(help="embedded (servers out of packages) or compose (containers).")
    ] = "embedded",
    port_offset: Annotated[int | None, typer.Option(metavar="N", help="Added to every port; remembered.")] = None,
) -> None:
    """Start the platform and walk the story "the provider missed my session" through the gateway."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    if stack == "embedded":
        running = _start_embedded(console, port_offset)
    elif stack == "compose":
        running = _start_compose(console)
    else:
        raise UserError(f"--stack {stack}: say embedded or compose", exit_code=2)
    up_after = time.monotonic() - began
    first_booking: list[float] = []
    asyncio.run(_play(running, console, lambda: first_booking.append(time.monotonic() - began)))
    _farewell(console, running, stack)
    console.print(f"\n[dim]ready after {up_after:.1f} s, first booking after {first_booking[0]:.1f} s[/]")


def _start_embedded(console: Console, port_offset: int | None) -> Stack:
    from makegood_cli.stack import up as starting

    home = Home.find()
    return starting.up(home, Choices.remembered(home).changed(port_offset, None, []), console)


def _start_compose(console: Console) -> Stack:
    """The same platform from images. Docker's own words are shown where it fails."""
    home = Home.find()
    home.make()
    # The key that signs development tokens must exist before the containers mount its folder.
    from makegood_cli.devside import keys

    keys.newest_key(home.identity)
    console.print("starting containers (docker compose up); images are built at the first time")
    command = ["docker", "compose", "up", "--detach", "--build", "--wait", "--wait-timeout", "240"]
    try:
        result = subprocess.run(command, cwd=home.root, check=False, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise UserError("docker is not installed; without it: make demo") from None
    if result.returncode:
        raise UserError("docker compose up failed:\n" + "\n".join(result.stderr.splitlines()[-15:]))
    stack = Stack.of(home, Choices())
    _wait_for_gateway(stack)
    return stack


def _wait_for_gateway(stack: Stack, seconds: float = 60) -> None:
    """Until a request passes through the gateway to each service."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            paths = [f"/v1/{name}/openapi.json" for name in ("booking", "availability", "credits", "notifications")]
            if all(httpx.get(stack.base_url + path, trust_env=False, timeout=5).is_success for path in paths):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise UserError(f"the gateway at {stack.base_url} does not reach all services after {seconds:g} s")


async def _play(stack: Stack, console: Console, first_booking: object) -> None:
    from makegood_cli.client import Gateway
    from makegood_cli.commands.clock import DevelopmentClock
    from makegood_cli.demo.provider_missed import Stage, play
    from makegood_cli.demo.screen import Screen

    async with Gateway(stack.base_url, stack.home.identity) as gateway, DevelopmentClock.of(stack) as clock:

        async def clock_now() -> datetime:
            return datetime.fromisoformat(str((await clock.now())["booking"]["now"]))

        async def advance_to(moment: datetime) -> None:
            await clock.advance(moment - await clock_now())

        await play(
            Stage(
                gateway=gateway,
                bootstrap=stack.bootstrap,
                topic_prefix=stack.topic_prefix(),
                mail_url=stack.mail_url,
                screen=Screen(console),
                clock_now=clock_now,
                advance_to=advance_to,
                first_booking=first_booking,  # type: ignore[arg-type]
            )
        )


def _farewell(console: Console, stack: Stack, form: Literal["embedded", "compose"] | str) -> None:
    from makegood_cli.commands.stack import addresses

    console.print("\n[bold]Everything is running:[/]")
    for what, where in addresses(stack):
        console.print(f"  {what:<16} {where}")
    console.print("\n[bold]Try next:[/]")
    stop = "docker compose down" if form == "compose" else "makegood down"
    for command, about in (
        ("makegood status", "processes, health, consumer lag, outbox age"),
        ("makegood topics tail", "the events as they pass"),
        ("makegood audit", "the invariants across all services' data"),
        ("makegood token --role member --subject me", "a token for curl"),
        ("makegood load bookings", "how fast it books"),
        (stop, "stop everything; the data stays"),
    ):
        name = command if command.startswith("docker") else f".venv/bin/{command}"
        console.print(f"  {name:<52} [dim]{about}[/]")


def register(app: typer.Typer) -> None:
    app.command()(demo)
