"""`up`, `down` and `logs`."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from makegood_cli.errors import UserError
from makegood_cli.stack.config import PARTS, Choices, Stack
from makegood_cli.stack.home import Home
from makegood_cli.terminal import console


def addresses(stack: Stack) -> list[tuple[str, str]]:
    """What a person wants to open, with the address."""
    return [
        ("gateway", stack.base_url),
        ("API documents", f"{stack.base_url}/docs"),
        ("inbox page", stack.mail_url),
        ("Kafka", stack.bootstrap),
        ("PostgreSQL", stack.database_url("booking")),
        ("Redis", stack.redis_url),
    ]


def up(
    scale: Annotated[list[str] | None, typer.Option(metavar="SERVICE=N", help="Processes of a service.")] = None,
    role: Annotated[str | None, typer.Option(help="What the services' processes do: all, serve or work.")] = None,
    port_offset: Annotated[int | None, typer.Option(metavar="N", help="Added to every port; remembered.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="PART", help="Start only these parts.")] = None,
) -> None:
    """Start what is not running; data of earlier runs is still there."""
    from makegood_cli.stack import up as starting

    output = console()
    unknown = set(only or ()) - set(PARTS)
    if unknown:
        raise UserError(f"--only {', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}", exit_code=2)
    home = Home.find()
    choices = Choices.remembered(home).changed(port_offset, role, scale or [])
    begun = time.monotonic()
    stack = starting.up(home, choices, output, frozenset(only) if only else None)
    output.print(f"Makegood is up ({time.monotonic() - begun:.1f} s)")
    for what, where in addresses(stack):
        output.print(f"  {what:<16} {where}")


def down() -> None:
    """Stop everything. Data stays for the next `up`."""
    from makegood_cli.stack import up as starting

    starting.down(Home.find(), console())


def logs(
    service: Annotated[str, typer.Argument(help="A process, as `makegood status` names it.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="How many lines of the end.")] = 100,
) -> None:
    """Show what a process has written."""
    home = Home.find()
    path = home.log(service)
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in home.logs.glob("*.log"))) or "none yet"
        raise UserError(f"there is no log of {service}; logs: {known}")
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - max(lines, 1) * 400)
        stream.seek(start)
        tail = stream.read().splitlines(keepends=True)
        sys.stdout.buffer.write(b"".join(tail[-lines:] if lines else []))
        sys.stdout.buffer.flush()
        while follow:
            chunk = stream.read()
            if chunk:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
                continue
            if path.exists() and path.stat().st_ino != os.fstat(stream.fileno()).st_ino:
                follow = False
                logs(service, follow=True, lines=100)
            time.sleep(0.2)


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(logs)
