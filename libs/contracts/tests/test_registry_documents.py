"""The schemas for a registry: every event fits its topic's, and what contracts may add stays compatible there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.publishing.registry_documents import document_of
from makegood_contracts.publishing.tables import columns_of
from makegood_contracts.topics import EVENT_TOPICS, SESSIONS, STATE_TOPICS, TOPICS, dead_letters

each_topic = pytest.mark.parametrize("topic", [*EVENT_TOPICS, *STATE_TOPICS], ids=lambda topic: topic.name)


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from _objects(inner)


def _types(schema: dict[str, Any]) -> set[str]:
    return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])


@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_each_event_fits_the_schema_of_its_topic(kind: Any) -> None:
    document = document_of(kind.topic)
    assert document is not None
    Draft7Validator.check_schema(document)
    formats = Draft7Validator.FORMAT_CHECKER
    payload = golden_of(kind)["payload"]
    Draft7Validator(document, format_checker=formats).validate(payload)
    for name in document["required"]:
        without = {key: value for key, value in payload.items() if key != name}
        assert not Draft7Validator(document).is_valid(without), name


@each_topic
def test_a_later_version_may_add_fields_and_values_and_nothing_else_is_open(topic: Any) -> None:
    """A registry proves compatibility in both directions only if what is added later was allowed before, with any type."""
    document = document_of(topic)
    assert document is not None
    assert document["properties"].keys() == {column.name for column in columns_of(topic)}
    for part in _objects(document):
        assert _types(part["additionalProperties"]) >= {"string", "number", "boolean", "object", "array", "null"}
        assert not [
            name for name, about in part["properties"].items() if about.keys() & {"enum", "maxLength", "pattern"}
        ]
        optional = part["properties"].keys() - set(part["required"])
        assert all("null" in _types(part["properties"][name]) for name in optional)


def test_a_reader_of_the_schema_learns_the_values_the_key_and_the_events() -> None:
    document = document_of(SESSIONS)
    assert document is not None
    assert document["properties"]["modality"]["description"].endswith("Now one of: audio, chat, in_person, video.")
    assert document["x-key"] == "session_id"
    assert "makegood.booking.ProviderMissed.v1" in document["x-events"]
    assert document["properties"]["remind_at"]["items"] == {"type": "string", "format": "date-time"}


def test_only_dead_letters_have_no_schema() -> None:
    without = [topic.name for topic in TOPICS if document_of(topic) is None]
    assert without == [dead_letters(owner).name for owner in ("booking", "availability", "credits", "notifications")]
