"""`topics`: what they are, what passes on them, and dead letters put back."""

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

from makegood_cli.duration import human
from makegood_cli.terminal import console

if TYPE_CHECKING:
    from makegood_contracts.topics import Topic
    from makegood_stack.config import Stack
    from makegood_stack.tail import Seen

T = TypeVar("T")
topics = typer.Typer(help="Topics, their contracts, live events, and dead letters put back.", no_args_is_help=True)
_COLOURS = {"booking": "cyan", "availability": "green", "credits": "yellow", "notifications": "magenta"}


def _stack() -> Stack:
    from makegood_stack.config import Stack
    from makegood_stack.home import Home

    return Stack.of(Home.find())


def _find(names: list[str]) -> list[Topic]:
    """The topics of these names, or of names that contain them. Raises UserError for a word that fits none."""
    from makegood_contracts.topics import TOPICS

    found = []
    for name in names:
        fitting = [t for t in TOPICS if t.name == name] or [t for t in TOPICS if name in t.name]
        if not fitting:
            raise UserError(f"there is no topic {name}; makegood topics list names them", exit_code=2)
        found += [t for t in fitting if t not in found]
    return found


@topics.command("list")
def list_topics(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the topics with owner, key and what they carry."""
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
def describe(topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The name, or a part of it.")]) -> None:
    """Show a topic's contract: its events and their fields, and what stands in it now."""
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
            output.print("  the broker does not answer, or the topic is not made yet: makegood up")
        else:
            held = sum(end - start for start, end in ends.values())
            output.print(f"  {held} events are in it, in {len(ends)} partitions")
        for kind in sorted((k for k in EVENT_TYPES.values() if k.topic == found), key=lambda k: k.type):
            output.print(f"  [{_COLOURS[found.owner]}]{kind.type}[/]")
            fields = ", ".join(f.name if f.required else f"{f.name}?" for f in msgspec.structs.fields(kind))
            output.print(f"      {fields}")
        output.print()


@topics.command()
def tail(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="Topics, or parts of their names; all if none.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only events with this key.")] = None,
    correlation: Annotated[str | None, typer.Option(metavar="ID", help="Only events of this story.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All that is there first.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop where the topics end now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the payload.")] = False,
    payload: Annotated[bool, typer.Option("--payload", help="Show the payload too.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Show whether the topic's owner signed it, by the keys at EVENT_KEYS_URL.")
    ] = False,
) -> None:
    """Show events as they pass, until Ctrl-C."""
    from makegood_contracts.topics import TOPICS
    from makegood_stack.event_verifier import verifier_of
    from makegood_stack.tail import Tail

    stack = _stack()
    verifier = verifier_of(stack) if verify else None
    wanted = [t.name for t in (_find(names) if names else TOPICS)]
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
        f"[dim]{human(event.latency)} · id {escape(event.id)} · story {escape(event.correlation_id)}[/]"
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
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Whose dead letters.")],
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only the event of this id; repeatable.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only events that died of this, as `ValueError`.")
    ] = None,
) -> None:
    """Put dead letters back on the topics they came from, once what they failed at is mended.

    Without --id and --reason all of the service's. The letters stay; putting one back twice has one effect.
    """
    from makegood_chassis.messaging.redrive import DeadLetter
    from makegood_chassis.messaging.redrive import redrive as put_back
    from makegood_contracts.topics import Service, dead_letters
    from makegood_stack.ports import SERVICES
    from makegood_stack.topic_state import existing_topics

    if service not in SERVICES:
        raise UserError(f"there is no service {service}: say one of {', '.join(SERVICES)}", exit_code=2)
    owner = cast("Service", service)
    stack = _stack()

    async def work() -> list[DeadLetter]:
        topic = stack.topic_prefix() + dead_letters(owner).name
        if not await existing_topics(stack.kafka, [topic]):
            raise UserError(f"there is no topic {topic} yet; makegood up makes it")
        wanted = set(ids) if ids else None
        return await put_back(stack.kafka, owner, prefix=stack.topic_prefix(), ids=wanted, reason=reason)

    letters = _ask_broker(stack, work())
    output = console()
    for letter in letters:
        key = letter.key.decode(errors="replace")
        _line(output, f"{letter.topic:<30} {letter.event_type} key {key} · id {letter.event_id} · {letter.reason}")
    count = len(letters)
    output.print(f"{count} dead {'letter' if count == 1 else 'letters'} of {service} put back")
    if missing := sorted(set(ids or ()) - {letter.event_id for letter in letters}):
        raise UserError(f"no dead letter of {service} fits --id {', '.join(missing)}")


def _line(output: Console, text: str) -> None:
    output.print(text, markup=False)


def _ask_broker(stack: Stack, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. Raises UserError where the broker does not answer."""
    from aiokafka.errors import KafkaError

    try:
        return asyncio.run(work)
    except (KafkaError, OSError, TimeoutError) as error:
        raise UserError(f"Kafka at {stack.kafka} does not answer ({error}); is it up? makegood up") from error


def register(app: typer.Typer) -> None:
    app.add_typer(topics, name="topics")
