"""`topics export` and `topics forget`: topics as typed tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from makegood_devtools.errors import UserError

from makegood_cli.terminal import console

if TYPE_CHECKING:
    from makegood_contracts.topics import Topic
    from makegood_stack.config import Stack

QUARANTINED = 4
"""The exit code of an export that holds records in quarantine."""

_FOLDER = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the export.", file_okay=False)]
_CATALOG = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Iceberg: the SQL catalog, an SQLAlchemy address. Default: SQLite in DIR."),
]
_WAREHOUSE = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Iceberg: where the files are, a folder or s3://bucket/prefix. Default: in DIR."),
]


def register(topics: typer.Typer) -> None:
    topics.command()(export)
    topics.command()(forget)


def export(
    folder: _FOLDER,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="Topic names or parts of them. Default: all events.")
    ] = None,
    format_: Annotated[
        Literal["parquet", "duckdb", "iceberg"] | None,
        typer.Option("--format", help="Default: that of the folder; parquet for a new one."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new events, until Ctrl-C.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Put records without a valid signature into quarantine (keys: EVENT_KEYS_URL)."),
    ] = False,
    catalog: _CATALOG = None,
    warehouse: _WAREHOUSE = None,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Records in a commit, at most.")] = 100_000,
) -> None:
    """Write topics to tables: Parquet, DuckDB or Apache Iceberg.

    Run it again to add what is new. It may be stopped at any time, even with kill -9: each record is in the tables once.

    Records that do not fit their contract are put into DIR/quarantine, and the exit code is 4.
    """
    with _missing_packages():
        from makegood_cli.export.reading import Limits
        from makegood_cli.export.running import EXPORTED, Options, run

    stack = _stack()
    options = Options(
        folder,
        topics=_chosen(names, EXPORTED),
        format=format_,
        follow=follow,
        catalog=catalog,
        warehouse=warehouse,
        check=_check_of(stack) if verify else None,
        limits=Limits(rows=rows),
    )
    outcome = asyncio.run(run(options, stack.kafka, stack.topic_prefix(), console(stderr=True)))
    output = console()
    rate = outcome.records / max(outcome.seconds, 0.001)
    output.print(
        f"{outcome.records:,} records exported to {folder} ({outcome.format}) in {outcome.seconds:.1f} s, {rate:,.0f}/s",
        markup=False,
    )
    if outcome.quarantined:
        output.print(
            f"{outcome.quarantined:,} records are in {folder / 'quarantine'}, because they do not fit their contracts. "
            "Remove the files there once you have dealt with them.",
            markup=False,
        )
        raise typer.Exit(QUARANTINED)


def forget(
    folder: _FOLDER,
    people: Annotated[list[str], typer.Argument(metavar="PERSON", help="Ids of people.")],
    catalog: _CATALOG = None,
    warehouse: _WAREHOUSE = None,
) -> None:
    """Make an export forget people.

    `topics export` does so by itself for everybody whose erasure is on the topics. Their rows stay; their ids become pseudonyms,
    now and in later exports to this folder.
    """
    with _missing_packages():
        from makegood_cli.export.running import forget as forget_people

    forget_people(folder, people, catalog, warehouse)
    console().print(f"{len(people)} forgotten in {folder}", markup=False)


def _stack() -> Stack:
    from makegood_stack.config import Stack
    from makegood_stack.home import Home

    return Stack.of(Home.find())


def _chosen(names: list[str] | None, exported: tuple[Topic, ...]) -> list[Topic]:
    if not names:
        return list(exported)
    found = []
    for name in names:
        fitting = [t for t in exported if t.name == name] or [t for t in exported if name in t.name]
        if not fitting:
            known = ", ".join(t.name for t in exported)
            raise UserError(f"topic {name} cannot be exported. These can: {known}", exit_code=2)
        found += fitting
    return found


def _check_of(stack: Stack) -> Any:
    from makegood_stack.event_verifier import verifier_of

    verifier = verifier_of(stack)
    return lambda topic, record: verifier.check(topic.name, record.key, record.headers, record.value)


@contextmanager
def _missing_packages() -> Iterator[None]:
    """Says how to install the extra, if it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pyarrow", "duckdb", "pyiceberg"):
            raise
        raise UserError(f"the package {error.name} is missing. Install it with: make data") from None
