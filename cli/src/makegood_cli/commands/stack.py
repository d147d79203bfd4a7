"""`up`, `down`, `restart` and `logs`."""

from __future__ import annotations

import re
import sys
import time
from typing import Annotated

import typer
from makegood_devtools.errors import UserError
from makegood_stack.config import PARTS, Choices, Stack, without_password
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES
from makegood_stack.scale import ROLES

from makegood_cli.terminal import console

_NUMBERED = re.compile(rf"(?:{'|'.join(SERVICES)})(?:-serve|-work)?(?:-[2-9])?")


def addresses(stack: Stack) -> list[tuple[str, str]]:
    """The addresses that people want to open."""
    database = stack.database_url("booking")
    return [
        ("gateway", stack.base_url),
        ("API documents", f"{stack.base_url}/docs"),
        ("inbox page", stack.mail_url),
        ("Kafka", stack.bootstrap),
        # The development password of PostgreSQL is public; it is in the documentation. Redis's is in .makegood/redis/password.
        (
            "PostgreSQL",
            without_password(database) if stack.logins or "BOOKING_DATABASE_URL" in stack.external else database,
        ),
        ("Redis", without_password(stack.redis_url)),
    ]


def up(
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE[-serve|-work]=N",
            help="Run 1 to 9 processes of a service, or of each of its roles. Repeatable; kept for later commands.",
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(ROLES),
            help="Whether processes serve requests, work on events, or both. Kept for later commands.",
        ),
    ] = None,
    port_offset: Annotated[
        int | None, typer.Option(metavar="N", help="Add N to every port. Kept for later commands.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help=f"Start only this part. Repeatable. Parts: {', '.join(PARTS)}."),
    ] = None,
) -> None:
    """Start everything that is not running. Keeps the data of earlier runs."""
    from makegood_stack import up as starting

    output = console()
    unknown = set(only or ()) - set(PARTS)
    if unknown:
        raise UserError(f"--only {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}", exit_code=2)
    home = Home.find()
    choices = Choices.remembered(home).changed(port_offset, role, scale or [])
    begun = time.monotonic()
    stack = starting.up(home, choices, output, frozenset(only) if only else None)
    output.print(f"Makegood is up ({time.monotonic() - begun:.1f} s)")
    for what, where in addresses(stack):
        output.print(f"  {what:<16} {where}")
    if choices.words:
        output.print(f"options, kept for the next `up`: {choices.words}")
    if choices.role != "all":
        undone = "works on events and deadlines" if choices.role == "serve" else "serves requests"
        output.print(
            f"[yellow]with --role {choices.role}, no process {undone}. To change this: makegood up --role all[/]"
        )


def down() -> None:
    """Stop everything. Keeps the data for the next `up`."""
    from makegood_stack import up as starting

    starting.down(Home.find(), console())


def restart(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A service, one of its roles (credits-work), or one process (credits-work-1)."
        ),
    ],
) -> None:
    """Restart the processes of a service one after the other, or one of them. The others go on."""
    from makegood_stack import restarting

    restarting.restart(Home.find(), name, console())


def logs(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A process name from `makegood status`.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Keep printing new lines.")] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=0, metavar="N", help="Number of lines to show from the end.")
    ] = 100,
) -> None:
    """Show the log of a process."""
    from makegood_cli.logfile import copy_end

    home = Home.find()
    written = sorted(p.stem for p in home.logs.glob("*.log"))
    if service not in written:
        possible = service in PARTS or _NUMBERED.fullmatch(service)
        raise UserError(
            f"{service} has no log. Logs: {', '.join(written) or 'none yet'}", exit_code=1 if possible else 2
        )
    copy_end(home.log(service), lines, sys.stdout.buffer, goes_on=lambda: follow)


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(restart)
    app.command()(logs)
