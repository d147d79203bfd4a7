"""`generate-year`: a made-up year of events on topics of their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from makegood_devtools.errors import UserError

from makegood_cli.terminal import console


def generate_year(
    members: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Number of members, in all.")] = 1_000,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same year.")] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The first day. Default: 1 January of last year."),
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="What the names of its topics begin with.")] = "year.",
) -> None:
    """Write a made-up, realistic year of events onto topics of their own, to try data pipelines on.

    Nobody in it exists. The platform's services do not see it: they read topics with another prefix. To read it, set
    KAFKA_TOPIC_PREFIX to the prefix.
    """
    if not prefix:
        raise UserError("--prefix must not be empty: the topics without a prefix are the platform's own", exit_code=2)
    from makegood_chassis.messaging.signatures import Signer
    from makegood_contracts.topics import SERVICES
    from makegood_devtools.event_keys import make_event_keys, private_key_file
    from makegood_stack.config import Stack
    from makegood_stack.home import Home

    from makegood_cli.year.sending import prepare, send
    from makegood_cli.year.world import year_of

    stack = Stack.of(Home.find())
    make_event_keys(stack.home.event_keys)
    keys = stack.home.event_keys
    signers = {service: Signer.of(private_key_file(keys, service).read_text()) for service in SERVICES}
    day = (start or datetime(datetime.now(UTC).year - 1, 1, 1, tzinfo=UTC)).date()
    year, notes, began = year_of(seed, members, day), console(stderr=True), time.monotonic()
    months = {(year.starts_at.year, year.starts_at.month)}
    done = 0

    def sent(count: int) -> None:
        nonlocal done
        done += count
        month = (year.now.year, year.now.month)
        if month not in months:
            months.add(month)
            notes.print(f"{done:,} events until {year.now:%-d %B %Y}", markup=False)

    async def write() -> int:
        await prepare(stack.kafka, prefix)
        return await send(year.records(), stack.kafka, prefix, signers, sent)

    count = asyncio.run(write())
    seconds = time.monotonic() - began
    console().print(
        f"{count:,} events of {members:,} members from {year.starts_at:%Y-%m-%d} to {year.ends_at:%Y-%m-%d} "
        f"are on topics that begin with {prefix}, written in {seconds:.0f} s.\n"
        f"Export them: KAFKA_TOPIC_PREFIX={prefix} makegood topics export DIR --format duckdb",
        markup=False,
    )


def register(app: typer.Typer) -> None:
    app.command("generate-year")(generate_year)
