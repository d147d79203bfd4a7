"""`topics`: lists and describes topics, shows events, sends dead letters again, and exports topics to tables."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer
from makegood_devtools.errors import UserError
from rich.console import Console
from rich.table import Table

from makegood_cli.commands import _topics_export
from makegood_cli.duration import human
from makegood_cli.terminal import console

if TYPE_CHECKING:
    from makegood_contracts.topics import Topic
    from makegood_stack.config import Stack
    from makegood_stack.tail import Seen

T = TypeVar("T")
topics = typer.Typer(
    help="List, describe and export topics, show events, and send dead letters again.", no_args_is_help=True
)
_COLOURS = {"booking": "cyan", "availability": "green", "credits": "yellow", "notifications": "magenta"}


def _stack() -> Stack:
    from makegood_stack.config import Stack
    from makegood_stack.home import Home

    return Stack.of(Home.find())


def _find(names: list[str]) -> list[Topic]:
    """The topics with these names or with names that contain them: state topics only if the name says `state`. Raises UserError
    if there is none."""
    from makegood_contracts.topics import STATE_TOPICS, TOPICS

    found = []
    for name in names:
        meant = TOPICS if "state" in name else [t for t in TOPICS if t not in STATE_TOPICS]
        fitting = [t for t in meant if t.name == name] or [t for t in meant if name in t.name]
        if not fitting:
            raise UserError(f"unknown topic {name}. List the topics with: makegood topics list", exit_code=2)
        found += [t for t in fitting if t not in found]
    return found


@topics.command("list")
def list_topics(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the topics with their owner, key and content."""
    from makegood_contracts.topics import TOPICS

    if as_json:
        rows = [{"name": t.name, "owner": t.owner, "key": t.key, "about": t.about} for t in TOPICS]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("topic", "owner", "key", "about"):
        table.add_column(heading, overflow="fold")
    for topic in TOPICS:
        table.add_row(topic.name, topic.owner, topic.key, topic.about)
    console().print(table)


@topics.command()
def describe(topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic's name or a part of it.")]) -> None:
    """Show a topic's event types and number of events."""
    import msgspec
    from makegood_contracts.events import EVENT_TYPES
    from makegood_stack.topic_state import partition_ends

    output = console()
    stack = _stack()
    for found in _find([topic]):
        output.print(f"[bold]{found.name}[/]  {found.about}")
        output.print(f"  owner {found.owner}, key {found.key}, {found.partitions} partitions")
        ends = asyncio.run(partition_ends(stack.kafka, stack.topic_prefix() + found.name))
        if ends is None:
            output.print(
                "  The broker does not answer, or the topic does not exist yet. Start the platform with: makegood up"
            )
        else:
            held = sum(end - start for start, end in ends.values())
            output.print(f"  {held} events in {len(ends)} partitions")
        for kind in sorted((k for k in EVENT_TYPES.values() if k.topic == found), key=lambda k: k.type):
            output.print(f"  [{_COLOURS[found.owner]}]{kind.type}[/]")
            fields = ", ".join(f.name if f.required else f"{f.name}?" for f in msgspec.structs.fields(kind))
            output.print(f"      {fields}")
        output.print()


@topics.command()
def tail(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC", help="Topic names or parts of them. Default: all but the state topics."),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only events with this key.")] = None,
    correlation: Annotated[str | None, typer.Option(metavar="ID", help="Only events with this correlation id.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with the oldest events.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Show the existing events, then stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with the payload.")] = False,
    payload: Annotated[bool, typer.Option("--payload", help="Also show the payload.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check each event's signature with the keys at EVENT_KEYS_URL.")
    ] = False,
) -> None:
    """Show events as they are published, until Ctrl-C."""
    from makegood_contracts.topics import STATE_TOPICS, TOPICS
    from makegood_stack.event_verifier import verifier_of
    from makegood_stack.tail import Tail

    stack = _stack()
    verifier = verifier_of(stack) if verify else None
    wanted = [t.name for t in (_find(names) if names else [t for t in TOPICS if t not in STATE_TOPICS])]
    output = console()

    async def follow() -> None:
        async with Tail(
            stack.kafka,
            wanted,
            prefix=stack.topic_prefix(),
            from_beginning=from_beginning or until_end,
            verifier=verifier,
        ) as reader:
            quiet = 0
            while not until_end or quiet < 3:
                batch = await reader.batch()
                quiet = 0 if batch else quiet + 1
                for event in batch:
                    if key is not None and event.key != key:
                        continue
                    if correlation is not None and event.correlation_id != correlation:
                        continue
                    if as_json:
                        sys.stdout.write(json.dumps(event.as_json(), default=str) + "\n")
                    else:
                        _show(event, output, payload)
                sys.stdout.flush()

    asyncio.run(follow())


def _show(event: Seen, output: Console, payload: bool) -> None:
    from rich.markup import escape

    try:
        moment = datetime.fromisoformat(event.time).strftime("%H:%M:%S.%f")[:-3]
    except ValueError:
        moment = "--:--:--.---"
    colour = _COLOURS.get(event.topic.split(".")[0], "white")
    output.print(
        f"{moment}  [{colour}]{event.topic:<30}[/] [bold]{escape(event.fact):<20}[/] key {escape(event.key)}  "
        f"[dim]{human(event.latency)} · id {escape(event.id)} · correlation {escape(event.correlation_id)}[/]"
    )
    if event.signature is not None:
        colour = "green" if event.signature == "genuine" else "red"
        output.print(f"              [{colour}]{event.signature}[/]")
    if event.malformed:
        output.print(f"              [red]{escape(event.malformed)}[/]")
    if payload:
        output.print(f"              {escape(json.dumps(event.payload, default=str))}")


@topics.command()
def redrive(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service that failed to process the events.")],
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only the event with this id. Repeatable.")
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Only events that failed for this reason, for example `ValueError`."),
    ] = None,
) -> None:
    """Send dead letters to their topics again.

    Do this after you have fixed the cause.

    Without --id and --reason, sends all dead letters of the service. They stay in the dead letter topic. Sending one twice
    has no further effect.
    """
    from makegood_chassis.messaging.redrive import DeadLetter
    from makegood_chassis.messaging.redrive import redrive as send_again
    from makegood_contracts.topics import ServiceName, dead_letters
    from makegood_stack.ports import SERVICES
    from makegood_stack.topic_state import existing_topics

    if service not in SERVICES:
        raise UserError(f"unknown service {service}. Choose one of {', '.join(SERVICES)}", exit_code=2)
    owner = cast("ServiceName", service)
    stack = _stack()
    brokers = stack.kafka_as("redrive")

    async def work() -> list[DeadLetter]:
        topic = stack.topic_prefix() + dead_letters(owner).name
        if not await existing_topics(brokers, [topic]):
            raise UserError(f"topic {topic} does not exist yet. Create it with: makegood up")
        wanted = set(ids) if ids else None
        return await send_again(brokers, owner, prefix=stack.topic_prefix(), ids=wanted, reason=reason)

    letters = _ask_broker(stack, work())
    output = console()
    for letter in letters:
        key = letter.key.decode(errors="replace")
        _line(output, f"{letter.topic:<30} {letter.event_type} key {key} · id {letter.event_id} · {letter.reason}")
    count = len(letters)
    output.print(f"{count} dead {'letter' if count == 1 else 'letters'} of {service} sent again")
    if missing := sorted(set(ids or ()) - {letter.event_id for letter in letters}):
        raise UserError(f"{service} has no dead letter with --id {', '.join(missing)}")


def _line(output: Console, text: str) -> None:
    output.print(text, markup=False)


def _ask_broker(stack: Stack, work: Coroutine[Any, Any, T]) -> T:
    """Runs `work`. Raises UserError if the broker does not answer."""
    from aiokafka.errors import KafkaError

    try:
        return asyncio.run(work)
    except (KafkaError, OSError, TimeoutError) as error:
        raise UserError(f"Kafka at {stack.kafka} does not answer ({error}). Start it with: makegood up") from error


def register(app: typer.Typer) -> None:
    _topics_export.register(topics)
    app.add_typer(topics, name="topics")
