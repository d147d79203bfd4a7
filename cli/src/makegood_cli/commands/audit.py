"""`makegood audit`: checks invariants across the data of all services. Lists all violations; the exit code is 1 if there
are any."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer
from makegood_devtools.errors import UserError
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES

if TYPE_CHECKING:
    from makegood_chassis.messaging.verification import Verifier

    from makegood_cli.audit.topics import Reader

_PATIENCE = 15.0


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    topics: Annotated[bool, typer.Option(help="Also read the topics, from the beginning.")] = True,
    port_offset: Annotated[
        int | None, typer.Option(metavar="N", help="The port offset of the stack to check. Default: the one last used.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds to wait for work in progress before reporting violations.")
    ] = _PATIENCE,
) -> None:
    """Check invariants across the four databases and the topics.

    Exits with 1 if there are violations.
    """
    home = Home.find()
    stack = Stack.of(home, Choices.remembered(home).changed(port_offset, None, []))
    violations, facts = asyncio.run(_audit(stack, topics, patience))
    if as_json:
        sys.stdout.write(json.dumps({"violations": violations, **facts}, indent=2) + "\n")
    else:
        for violation in violations:
            sys.stdout.write(f"violation: {violation}\n")
        told = ", ".join(f"{count} {what}" for what, count in facts.items())
        sys.stdout.write(f"{'no violations' if not violations else f'{len(violations)} violations'} ({told})\n")
    if violations:
        raise typer.Exit(1)


def _verifier(stack: Stack) -> Verifier | None:
    """The verifier of event signatures. None if the key set is not available; then signatures are not checked."""
    from makegood_stack.event_verifier import verifier_of

    try:
        return verifier_of(stack)
    except UserError:
        return None


async def _audit(stack: Stack, with_topics: bool, patience: float) -> tuple[list[str], dict[str, int]]:
    """Checks repeatedly as long as there are violations, because work in progress looks like one at first.

    `patience` counts from the end of the first check, which has to read everything.
    """
    from makegood_cli.audit import topics
    from makegood_cli.audit.agreement import against
    from makegood_cli.audit.invariants import INVARIANTS
    from makegood_cli.audit.snapshot import take

    urls = {service: stack.database_url(service, "auditor") for service in SERVICES}
    until: float | None = None
    async with AsyncExitStack() as opened:
        reader: Reader | None = None
        if with_topics:
            reader = await opened.enter_async_context(
                topics.reading(stack.kafka, stack.topic_prefix(), _verifier(stack))
            )
        while True:
            data = await take(urls)
            found = [violation for invariant in INVARIANTS for violation in invariant(data)]
            facts = {"sessions": len(data.sessions), "credit holds": len(data.credit_holds)}
            if reader is not None:
                reader.witness.withdrawn = data.withdrawn
                witness = await reader.catch_up()
                found += against(witness, data)
                facts |= {"events": witness.events, "duplicates": witness.duplicates}
                if witness.passed_over:
                    facts["withdrawn by a restore"] = witness.passed_over
                if witness.forged:
                    facts["forged records, which services ignore"] = witness.forged
            until = until if until is not None else time.monotonic() + patience
            if not found or time.monotonic() > until:
                return found, facts
            await asyncio.sleep(1)


def register(app: typer.Typer) -> None:
    app.command()(audit)
