"""The data contracts: each field of each topic has a meaning, a type, an example and a class, and nothing is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import msgspec
import pytest
import yaml
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.publishing import tables
from makegood_contracts.publishing.data_contracts import contract_of
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.publishing.meanings import Sensitivity, meaning_of
from makegood_contracts.publishing.places import PUBLISHED
from makegood_contracts.publishing.tables import Kind, columns_of, events_of
from makegood_contracts.reasons import Obstacle
from makegood_contracts.topics import (
    BY_NAME,
    EVENT_TOPICS,
    LEDGER,
    RESERVATIONS,
    SESSIONS,
    STATE_TOPICS,
    TOPICS,
    VENUES,
)

CONTRACTS = {
    path.name.removesuffix(".odcs.yaml"): yaml.safe_load(path.read_text())
    for path in (PUBLISHED / "data-contracts").iterdir()
}
each_topic = pytest.mark.parametrize("topic", [*EVENT_TOPICS, *STATE_TOPICS], ids=lambda topic: topic.name)


def _custom(properties: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["property"]: each["value"] for each in properties}


def _fields(properties: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in properties:
        yield each
        yield from _fields(each.get("properties", []))
        yield from _fields(each.get("items", {}).get("properties", []))


def test_every_topic_has_a_contract_with_owner_terms_and_service_levels() -> None:
    assert CONTRACTS.keys() == {topic.name for topic in TOPICS}
    for name, contract in CONTRACTS.items():
        topic = BY_NAME[name]
        (table,) = contract["schema"]
        assert (contract["team"]["name"], table["physicalName"]) == (topic.owner, name)
        assert {"purpose", "usage", "limitations"} == contract["description"].keys()
        assert {"freshness", "retention", "frequency"} == {level["property"] for level in contract["slaProperties"]}
        told = _custom(contract["customProperties"])
        assert (told["key"], told["cleanupPolicy"]) == (topic.key, topic.settings["cleanup.policy"])
        assert ("data-team" in {role["role"] for role in contract["roles"]}) == (
            (topic in EVENT_TOPICS and ".access." not in name) or topic.compacted
        )


@each_topic
def test_a_contract_has_every_field_of_every_event_of_its_topic(topic: Any) -> None:
    (table,) = CONTRACTS[topic.name]["schema"]
    told = {each["name"]: set(_custom(each["customProperties"])["events"]) for each in table["properties"]}
    expected: dict[str, set[str]] = {}
    for kind in events_of(topic):
        for field in msgspec.structs.fields(kind):
            expected.setdefault(field.encode_name, set()).add(kind.__name__)
    assert told == expected
    assert {link["url"].rsplit("/", 1)[1].removesuffix(".json") for link in table["authoritativeDefinitions"]} == {
        kind.type for kind in EVENT_TYPES.values() if kind.topic == topic
    }


@each_topic
def test_each_field_says_what_it_means_and_what_it_tells_about_people(topic: Any) -> None:
    (table,) = CONTRACTS[topic.name]["schema"]
    for field in _fields(table["properties"]):
        assert field["description"].endswith("."), field["name"]
        assert field["classification"] in get_args(Sensitivity), field["name"]
        if field["name"].endswith(("_minutes", "_hours", "_days", "_months")) and field["logicalType"] == "integer":
            unit = _custom(field["customProperties"])["unit"]
            assert field["name"].endswith(f"_{unit}"), field["name"]


@each_topic
def test_what_every_record_has_is_required_and_the_rest_is_not(topic: Any) -> None:
    payloads = [golden_of(kind)["payload"] for kind in events_of(topic)]
    for column in columns_of(topic):
        if column.required:
            assert all(payload.get(column.name) is not None for payload in payloads), column.name


@pytest.mark.parametrize(
    ("topic", "field", "expected"),
    [
        (SESSIONS, "specialty", "health"),
        (SESSIONS, "absent_party", "health"),
        (SESSIONS, "member_id", "personal"),
        (SESSIONS, "session_version", "none"),
        (LEDGER, "available_after", "personal"),
        (VENUES, "venue_id", "none"),
        (SESSIONS, "venue_id", "health"),
    ],
)
def test_the_class_of_a_field_depends_on_what_it_shows(topic: Any, field: str, expected: str) -> None:
    assert meaning_of(topic, field).sensitivity == expected


def test_a_field_without_a_meaning_is_refused_with_advice() -> None:
    with pytest.raises(LookupError, match=r"say what it means in makegood_contracts\.publishing\.meanings"):
        meaning_of(SESSIONS, "shoe_size")


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`change("SessionMoved", room_id=int)`: tables see that type in that field of the event."""

    def changed(event: str, **types: Any) -> None:
        def described(struct: Any) -> Any:
            found: Any = msgspec.inspect.type_info(struct)
            if found.cls.__name__ != event:
                return found
            replaced = [
                msgspec.structs.replace(field, type=msgspec.inspect.type_info(types.get(field.name)))
                if field.name in types
                else field
                for field in found.fields
            ]
            return msgspec.structs.replace(found, fields=tuple(replaced))

        columns_of.cache_clear()
        monkeypatch.setattr(tables, "type_info", described)

    yield changed
    columns_of.cache_clear()


def test_whatever_is_added_raises_the_version(change: Callable[..., None]) -> None:
    def version() -> list[int]:
        return [int(part) for part in contract_of(SESSIONS)["version"].split(".")]

    before = version()
    change("SessionRequested", modality=Literal["video", "hologram"])
    assert version() > before


def test_two_events_that_disagree_about_a_field_are_refused(change: Callable[..., None]) -> None:
    change("SessionMoved", room_id=int)
    with pytest.raises(TypeError, match=r"SessionMoved\.room_id: integer, but string"):
        columns_of(SESSIONS)


def test_a_type_that_no_column_can_hold_is_refused(change: Callable[..., None]) -> None:
    change("SessionMoved", room_id=int | str)
    with pytest.raises(TypeError, match="no column for UnionType"):
        columns_of(SESSIONS)


def test_objects_of_two_events_have_the_fields_of_both(change: Callable[..., None]) -> None:
    change("SlotMoveRefused", reasons=list[Obstacle])
    reasons = {column.name: column for column in columns_of(RESERVATIONS)}["reasons"].kind.items
    assert reasons is not None
    found = {each.name: (each.kind.name, each.required) for each in reasons.fields}
    assert found == {
        "code": ("string", True),
        "detail": ("string", True),
        "available_from": ("instant", False),
        "credits": ("integer", False),
        "action": ("string", False),
        "href": ("string", False),
    }


def test_closed_sets_of_several_events_are_one_set() -> None:
    by_name = {column.name: column for column in columns_of(BY_NAME["availability.schedules.v1"])}
    assert set(by_name["cause"].kind.values) == {
        "refused",
        "unanswered",
        "withdrawn",
        "booked",
        "lapsed",
        "left",
        "erased",
    }
    assert by_name["lapses_at"].kind == Kind("instant")
