"""The data teams' how-to: its commands exist as they stand there, its queries fit the tables, its example verifies what is signed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.messaging.signatures import Signer, jwk
from makegood_cli.commands import register_all
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import RoomOpened
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import EVENT_TOPICS
from makegood_testkit.forging import sign

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = ROOT / "docs/how-to/data-teams.md"
SQL: Final = re.compile(r"\.sql\('''(.*?)'''\)", flags=re.DOTALL)


def _commands() -> Iterator[list[str]]:
    """The words of each command in the guide, without variables before it and comments after it."""
    for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL):
        lines = ""
        for line in block.splitlines():
            lines += f"{line}\n"
            try:
                words = shlex.split(lines, comments=True)
            except ValueError:  # a quotation that goes on in the next line
                continue
            lines = ""
            yield [word for at, word in enumerate(words) if at or not re.match("[A-Z_]+=", word)]


COMMANDS: Final = list(_commands())


def _of(program: str) -> pytest.MarkDecorator:
    found = [words[1:] for words in COMMANDS if words[0] == program]
    return pytest.mark.parametrize("words", found, ids=[" ".join(words)[:60].split("\n")[0] for words in found])


def test_every_command_is_looked_at() -> None:
    assert {words[0] for words in COMMANDS} == {"make", ".venv/bin/makegood", ".venv/bin/python"}


@_of(".venv/bin/makegood")
def test_makegood_takes_these_words(words: list[str]) -> None:
    application = typer.Typer()
    application.callback()(lambda: None)
    register_all(application, words)
    command: Any = typer.main.get_command(application)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


@_of("make")
def test_make_knows_these_targets_and_variables(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, variable, _ = word.partition("=")
        assert re.search(rf"^{name} \?=" if variable else rf"^{name}:", makefile, flags=re.MULTILINE), word


@_of(".venv/bin/python")
def test_python_can_read_it_and_its_queries_fit_the_tables(words: list[str]) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra `data` is missing: make data")
    from makegood_cli.export.columns import schema_of
    from makegood_cli.export.store import table_name

    option, program = words
    assert option == "-c"
    compile(program, "guide", "exec")
    with duckdb.connect() as connection:
        for topic in EVENT_TOPICS:
            connection.register(table_name(topic), schema_of(topic).empty_table())
        for query in SQL.findall(program):
            assert connection.sql(query).columns


@pytest.mark.rule("SEC-7")
def test_the_example_verifies_genuine_events_alone() -> None:
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    assert found is not None
    example: dict[str, Any] = {}
    exec(found[1], example)
    private = Ed25519PrivateKey.generate()
    keys = example["read_keys"](json.dumps({"keys": [jwk(private.public_key(), "booking")]}))
    records = [encode(example_of(RoomOpened), sequence=n, cause=Cause("story", "cause")) for n in range(1, 8)]
    for record, headers in zip(records, sign(records, Signer(private)), strict=True):
        example["verify"](record.topic, record.key.encode(), headers, record.value, keys)
        with pytest.raises(InvalidSignature):
            example["verify"](record.topic, record.key.encode(), headers, record.value + b" ", keys)
        with pytest.raises(ValueError, match="another service"):
            example["verify"]("credits.ledger.v1", record.key.encode(), headers, record.value, keys)
