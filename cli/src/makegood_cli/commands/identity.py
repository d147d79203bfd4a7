"""`token` prints a development access token. `event-key` prints the public key of an event signing key."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from makegood_devtools.errors import UserError

from makegood_cli.duration import parse_duration

# What services accept as a `sub`.
_SUBJECT = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def token(
    role: Annotated[str, typer.Option(metavar="member|provider|support|ops", help="The person's role.")],
    subject: Annotated[
        str, typer.Option(metavar="ID", help="The person's id (`sub` claim): letters, digits and . _ : @ - only.")
    ],
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the token is valid, for example 90s, 15m or 1h.")
    ] = "1h",
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="Make a new signing key first. It is used after 20 s, when all services have read it. The old key stays valid.",
        ),
    ] = False,
) -> None:
    """Print a development access token."""
    from makegood_devtools import keys
    from makegood_stack.home import Home

    if role not in keys.ROLES:
        raise UserError(f"--role {role}: choose one of {', '.join(keys.ROLES)}", exit_code=2)
    if not _SUBJECT.fullmatch(subject):
        raise UserError("--subject must be 1 to 128 letters, digits and . _ : @ -", exit_code=2)
    home = Home.find()
    lifetime, longest = (
        parse_duration(expires),
        float(os.environ.get("TOKEN_MAX_LIFETIME", keys.LONGEST.total_seconds())),
    )
    if lifetime.total_seconds() > longest:
        raise UserError(
            f"--expires {expires}: services refuse tokens that are valid for longer than {longest:g} s (TOKEN_MAX_LIFETIME)",
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


def event_key(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service whose events the key signs.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key file: Ed25519, PKCS #8, PEM.")],
) -> None:
    """Print the public key of an event signing key.

    The output is an entry for the key set at EVENT_KEYS_URL.
    """
    from makegood_chassis.messaging.signatures import Signer, jwk
    from makegood_contracts.topics import SERVICES

    if service not in SERVICES:
        raise UserError(f"unknown service {service}. Choose one of {', '.join(SERVICES)}", exit_code=2)
    try:
        public = Signer.of(file.read_text()).public
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{file} {error}") from error
    sys.stdout.write(json.dumps(jwk(public, service), indent=2) + "\n")


def register(app: typer.Typer) -> None:
    app.command()(token)
    app.command("event-key")(event_key)
