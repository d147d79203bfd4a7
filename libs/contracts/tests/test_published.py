"""What is checked in is what the code says, and readers can rely on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from makegood_contracts.envelope import Cause, decode, encode
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.generate import COMMAND, incompatible, main, stale, write
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.publishing.places import PUBLISHED
from makegood_contracts.topics import TOPICS

EVENTS = sorted(EVENT_TYPES.values(), key=lambda kind: kind.type)
each_event = pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)


def _read(folder: str, kind: type[Event]) -> Any:
    return msgspec.json.decode((PUBLISHED / folder / f"{kind.type}.json").read_bytes())


def test_what_is_checked_in_is_up_to_date() -> None:
    old = stale()
    assert not old, f"stale: {', '.join(old)}; run `{COMMAND}` and check the result in"


def test_no_reader_of_what_is_checked_in_would_be_lost() -> None:
    broken = incompatible()
    assert not broken, "\n" + "\n".join(broken)


@each_event
def test_the_golden_example_is_read_and_written_as_it_stands(kind: type[Event]) -> None:
    golden = _read("examples", kind)
    headers = [(name, text.encode()) for name, text in golden["headers"].items()]
    received = decode(golden["key"].encode(), headers, msgspec.json.encode(golden["payload"]))
    assert type(received.event) is kind
    again = encode(
        received.event,
        sequence=received.sequence,
        cause=Cause(received.correlation_id, received.causation_id, received.traceparent),
        event_id=received.id,
        time=received.time,
    )
    assert (again.topic, again.key, dict(again.headers)) == (golden["topic"], golden["key"], golden["headers"])
    assert msgspec.json.decode(again.value) == golden["payload"]


@each_event
def test_the_schema_has_an_absolute_address_that_every_event_names(kind: type[Event]) -> None:
    """CloudEvents 1.0, `dataschema`; JSON Schema 2020-12 §8.2.1, `$id`."""
    golden, schema = _read("examples", kind), _read("schemas", kind)
    assert urlsplit(schema["$id"]).scheme == "https"
    assert urlsplit(schema["$id"]).path == f"/schemas/{kind.type}.json"
    assert golden["headers"]["ce_dataschema"] == schema["$id"]
    elsewhere = encode(example_of(kind), sequence=1, cause=Cause.begin(), base_url="http://127.0.0.1:8080")
    assert dict(elsewhere.headers)["ce_dataschema"] == f"http://127.0.0.1:8080/schemas/{kind.type}.json"


@each_event
def test_the_schema_takes_the_golden_example_and_refuses_less(kind: type[Event]) -> None:
    schema, payload = _read("schemas", kind), _read("examples", kind)["payload"]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    validator.validate(payload)
    assert validator.is_valid({**payload, "added_later": 1})
    for field in schema["required"]:
        assert not validator.is_valid({name: value for name, value in payload.items() if name != field}), field


def test_the_asyncapi_document_names_every_topic_and_event_and_its_references_hold() -> None:
    document = yaml.safe_load((PUBLISHED / "asyncapi.yaml").read_text())
    assert document["asyncapi"].startswith("3.")
    assert {channel["address"] for channel in document["channels"].values()} == {topic.name for topic in TOPICS}
    messages = document["components"]["messages"]
    assert {message["name"] for message in messages.values()} == {*EVENT_TYPES, "dead-letter"}
    for reference in _references(document):
        if reference.startswith("./"):
            assert (PUBLISHED / reference).is_file()
            continue
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def _references(content: Any) -> list[str]:
    if isinstance(content, dict):
        own = [content["$ref"]] if isinstance(content.get("$ref"), str) else []
        return own + [found for value in content.values() for found in _references(value)]
    if isinstance(content, list):
        return [found for value in content for found in _references(value)]
    return []


def test_the_command_writes_once_checks_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--folder", str(tmp_path)]) == 1
    assert COMMAND in capsys.readouterr().out
    assert main(["--folder", str(tmp_path)]) == 0
    assert main(["--check", "--folder", str(tmp_path)]) == 0
    left_over = tmp_path / "schemas" / "note.txt"
    left_over.write_text("x")
    assert stale(tmp_path) == ["schemas/note.txt"]
    write(tmp_path)
    assert not left_over.exists()
    path = tmp_path / "schemas" / "makegood.booking.SessionReserved.v1.json"
    changed = msgspec.json.decode(path.read_bytes())
    changed["properties"]["confirmed_until"] = {"type": "string"}
    path.write_bytes(msgspec.json.encode(changed))
    capsys.readouterr()
    assert main(["--folder", str(tmp_path)]) == 1
    assert "SessionReserved.confirmed_until: removed; fields are only ever added" in capsys.readouterr().out
    assert b"confirmed_until" in path.read_bytes()
