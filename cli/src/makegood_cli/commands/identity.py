"""`token`: a development access token."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated

import typer

from makegood_cli.duration import parse_duration
from makegood_cli.errors import UserError

# What the services take for a `sub`; a token with another one would be refused at every door.
_SUBJECT = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def token(
    role: Annotated[str, typer.Option(metavar="member|provider|support|ops", help="What the person may do.")],
    subject: Annotated[
        str, typer.Option(metavar="ID", help="Whose token: the `sub` claim; letters, digits and . _ : @ - only.")
    ],
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long it is good: 90s, 15m, 1h.")] = "1h",
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="Make a new key first. It signs once everybody has read it, 20 s later; the old stays good.",
        ),
    ] = False,
) -> None:
    """Print a development access token, and nothing else."""
    from makegood_cli.devside import keys
    from makegood_cli.stack.home import Home

    if role not in keys.ROLES:
        raise UserError(f"--role {role}: the roles are {', '.join(keys.ROLES)}", exit_code=2)
    if not _SUBJECT.fullmatch(subject):
        raise UserError("--subject takes 1 to 128 letters, digits and . _ : @ -", exit_code=2)
    home = Home.find()
    lifetime, longest = (
        parse_duration(expires),
        float(os.environ.get("TOKEN_MAX_LIFETIME", keys.LONGEST.total_seconds())),
    )
    if lifetime.total_seconds() > longest:
        raise UserError(
            f"--expires {expires}: the services refuse tokens that live longer than {longest:g} s (TOKEN_MAX_LIFETIME)",
            exit_code=2,
        )
    try:
        home.make()
        if new_key:
            keys.make_key(home.identity)
        issuer = os.environ.get("TOKEN_ISSUER", keys.ISSUER)
        sys.stdout.write(keys.token(home.identity, role, subject, lifetime, issuer=issuer) + "\n")
    except OSError as error:
        raise UserError(f"cannot use the keys in {home.identity}: {error.strerror}") from error


def register(app: typer.Typer) -> None:
    app.command()(token)
