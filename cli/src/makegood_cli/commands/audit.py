"""`makegood audit`: checks the invariants across all services' data and names every violation; exit code 1 if any."""

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
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    topics: Annotated[bool, typer.Option(help="Read the topics too, from their beginning.")] = True,
    port_offset: Annotated[
        int | None, typer.Option(metavar="N", help="Of the stack to look at; the remembered one without.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds that what is under way gets to finish; a violation lasts.")
    ] = _PATIENCE,
) -> None:
    """Check the invariants across the four databases and the topics."""
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
    """None where the platform that publishes the keys is down: then the topics are read as they are."""
    from makegood_stack.event_verifier import verifier_of

    try:
        return verifier_of(stack)
    except UserError:
        return None


async def _audit(stack: Stack, with_topics: bool, patience: float) -> tuple[list[str], dict[str, int]]:
    """Looks again while there are violations: what is only under way passes, what is wrong stays.

    The patience begins when the first look, which reads everything, is over.
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
                witness = await reader.catch_up()
                found += against(witness, data)
                facts |= {"events": witness.events, "duplicates": witness.duplicates}
                if witness.forged:
                    facts["forged records, which the services refuse"] = witness.forged
            until = until if until is not None else time.monotonic() + patience
            if not found or time.monotonic() > until:
                return found, facts
            await asyncio.sleep(1)


def register(app: typer.Typer) -> None:
    app.command()(audit)
