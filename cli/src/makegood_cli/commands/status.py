"""`status`: shows processes, health, outboxes and consumer lag."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from makegood_cli.duration import human
from makegood_cli.terminal import console

if TYPE_CHECKING:
    from makegood_stack.inspect import Status

_COLOUR = {"ready": "green", "running": "green", "external": "cyan", "not ready": "yellow", "down": "red"}


def _show(found: Status, output: Console) -> None:
    processes = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "role", "health", "pid", "ports", "up", "memory", ""):
        processes.add_column(heading, justify="right" if heading in ("pid", "up", "memory") else "left")
    for p in found.processes:
        processes.add_row(
            p.name,
            p.role or "-",
            f"[{_COLOUR[p.health]}]{p.health}[/]",
            str(p.pid or "-"),
            ", ".join(map(str, p.ports)) or "-",
            human(p.uptime),
            f"{p.memory} MiB" if p.memory is not None else "-",
            p.detail,
        )
    output.print(processes)
    outboxes = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("outbox", "waiting", "oldest", ""):
        outboxes.add_column(heading, justify="right" if heading in ("waiting", "oldest") else "left")
    for o in found.outboxes:
        outboxes.add_row(o.service, str(o.depth) if o.depth is not None else "-", human(o.age), o.detail)
    output.print()
    output.print(outboxes)
    output.print()
    if found.lag:
        lag = Table(box=None, pad_edge=False, header_style="bold")
        lag.add_column("consumer group")
        lag.add_column("lag", justify="right")
        for group, behind in found.lag.items():
            lag.add_row(group, str(behind))
        output.print(lag)
    else:
        output.print("no consumer groups")
    if found.choices:
        output.print(f"\noptions from earlier commands: {found.choices}")
    for remark in found.remarks:
        output.print(f"[red]{remark}[/]")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show processes with their health, outbox age and consumer lag.

    Exits with 1 if something is not ready.
    """
    from makegood_stack.config import Stack
    from makegood_stack.home import Home
    from makegood_stack.inspect import look

    found = asyncio.run(look(Stack.of(Home.find())))
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), indent=2) + "\n")
    else:
        _show(found, console())
    if not found.healthy:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    app.command()(status)
