"""`size`: how many processes, connections and how much disk a number of bookings needs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from makegood_devtools.errors import UserError
from rich.table import Table

from makegood_cli.terminal import console


def size(
    peak: Annotated[float, typer.Option(metavar="N", help="Bookings a second at the busiest time.")],
    per_day: Annotated[float, typer.Option(metavar="N", help="Bookings a day.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many processes, connections and how much disk so many bookings need."""
    from makegood_stack import sizing

    try:
        found = sizing.size(peak, per_day)
    except ValueError as error:
        raise UserError(f"--peak and --per-day: {error}", exit_code=2) from None
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
        return
    output = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("part")
    table.add_column("processes", justify="right")
    table.add_column("cores at the peak", justify="right")
    for part, cores in found.cores.items():
        table.add_row(part, str(found.processes.get(part, "-")), f"{cores:.2f}")
    output.print(table)
    connections = ", ".join(f"{service} {number}" for service, number in found.connections.items())
    output.print(f"\nPostgreSQL connections, at most: {connections}")
    output.print(f"partitions of each topic: {found.partitions}")
    output.print(f"disk a day: {found.disk_gb_a_day:.1f} GB, and {found.wal_gb_a_day:.1f} GB of WAL")


def register(app: typer.Typer) -> None:
    app.command()(size)
