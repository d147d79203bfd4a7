"""`restore`: brings the four databases back from a backup, and in line with the topics."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from makegood_devtools.errors import UserError
from makegood_stack.config import Stack
from makegood_stack.home import Home
from rich.console import Console

from makegood_cli.terminal import console

if TYPE_CHECKING:
    from makegood_stack.backup.reconciling import Report

_STEPS = ("databases", "reconcile")


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where people's keys of this backup are. Default: DIR/keys.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Delete what is in the databases now.")] = False,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(_STEPS), help="Do only this step. Start no service before the second one is done."
        ),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Where to write the report. Default: .makegood/restores/…"),
    ] = None,
) -> None:
    """Restore the four databases, and bring them in line with the topics.

    Stop all services first. Then start them again with `makegood up`.
    """
    from makegood_stack.backup import restoring

    if step is not None and step not in _STEPS:
        raise UserError(f"--step {step}: choose one of {', '.join(_STEPS)}", exit_code=2)
    output = console()

    def say(line: str) -> None:
        output.print(line, markup=False)

    home = Home.find()
    home.make()
    stack = Stack.of(home)
    folder = folder.resolve()
    asked = restoring.Asked(
        folder, keys.resolve() if keys else folder / "keys", replace, step != "reconcile", step != "databases"
    )
    begun = time.monotonic()
    made = restoring.checked(stack, asked)
    say(
        f"backup {made.id} of {made.taken_at:%Y-%m-%d %H:%M:%S} UTC: complete, undamaged, and of this release or an earlier one"
    )
    restoring.start_servers(stack, output)
    found = asyncio.run(restoring.restore(stack, made, asked, say))
    if found is None:
        say("The databases are restored. Before you start a service: makegood restore … --step reconcile")
        return
    path = report_file or home.state / "restores" / f"{made.taken_at:%Y%m%d-%H%M%S}-{made.id[-6:]}.json"
    restoring.write(found, path)
    _tell(found, output, path)
    ours = stack.is_embedded("postgresql") or stack.logins
    start = "makegood up" if ours else "the role migrate of each service with its own settings, then start them"
    say(f"restored in {time.monotonic() - begun:.1f} s. Next: {start}, then makegood audit")


def _tell(report: Report, output: Console, path: Path) -> None:
    def say(line: str) -> None:
        output.print(line, markup=False)

    if not report.same_topics:
        say("  The topics are not those of the backup, so nothing was compared, and consumers begin where they are.")
        say(
            "  If services had events to read at the time of the backup, these are missing. makegood audit names what differs."
        )
        return
    say(f"  {report.later} events on the topics are later than the backup; {report.withdrawn} of them are withdrawn")
    for what, count in (
        ("sessions were booked since and are lost", len(report.lost_sessions)),
        ("other things are as they were at the backup", len(report.rolled_back)),
        ("payments, decisions and requests need somebody to look at them", len(report.by_hand)),
        ("messages went out since and are not sent again", report.sent_already),
        ("messages about no session may come twice", len(report.may_come_twice)),
        ("people are erased again", len(report.erased_again)),
        ("revocations of tokens hold again", report.revoked_again),
        ("records that are no valid events were ignored", report.ignored),
    ):
        if count:
            say(f"  {count:6} {what}")
    for service, ids in report.handled_by.items():
        say(
            f"  {service} has handled {len(ids)} of the later events: its database is not of this backup. Restore it again."
        )
    say(f"  All of it, with ids: {path}")


def register(app: typer.Typer) -> None:
    app.command()(restore)
