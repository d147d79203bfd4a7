"""The gate for data contracts: which changes of a topic's table its readers survive, in either direction."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from makegood_contracts.publishing.contract_compatibility import contract_breaks
from makegood_contracts.publishing.data_contracts import contract_of
from makegood_contracts.topics import HOLDS, SESSIONS

CONTRACTS = {topic.name: contract_of(topic) for topic in (HOLDS, SESSIONS)}


def _after(edit: Callable[[dict[str, Any], dict[str, Any]], Any]) -> list[str]:
    today = copy.deepcopy(CONTRACTS)
    table = today[HOLDS.name]["schema"][0]
    edit({field["name"]: field for field in table["properties"]}, table)
    return contract_breaks(CONTRACTS, today)


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields, table: None,
        lambda fields, table: table["properties"].append(
            {"name": "new", "logicalType": "string", "classification": "none"}
        ),
        lambda fields, table: fields["funding"]["quality"][0]["arguments"]["validValues"].append("voucher"),
        lambda fields, table: fields["funding"].update(description="Said better.", classification="health"),
    ],
)
def test_what_is_added_breaks_nothing(edit: Callable[[Any, Any], Any]) -> None:
    assert _after(edit) == []


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda fields, table: table["properties"].remove(fields["funding"]),
            "funding: removed; fields are only ever added",
        ),
        (
            lambda fields, table: fields["hold_until"].update(logicalType="string"),
            "hold_until: type changed from timestamp to string",
        ),
        (
            lambda fields, table: fields["member_id"].pop("required"),
            "member_id: no longer required; readers rely on it",
        ),
        (
            lambda fields, table: fields["funding"].update(required=True),
            "funding: became required; earlier records may lack it",
        ),
        (
            lambda fields, table: table["properties"].append(
                {"name": "new", "logicalType": "string", "required": True}
            ),
            "new: added as required; earlier records do not have it",
        ),
        (
            lambda fields, table: fields["reasons"].update(classification="none"),
            "reasons: classification lowered from health to none",
        ),
        (
            lambda fields, table: fields["funding"]["quality"][0]["arguments"]["validValues"].remove("credit"),
            "funding: no longer allows 'credit'; values are only ever added",
        ),
        (lambda fields, table: fields["reasons"]["items"]["properties"].pop(), "reasons[].credits: removed"),
        (lambda fields, table: fields["co_pay"]["properties"].pop(), "co_pay.currency: removed"),
    ],
)
def test_what_readers_would_not_survive_is_named(edit: Callable[[Any, Any], Any], says: str) -> None:
    (found,) = _after(edit)
    assert found.startswith(f"{HOLDS.name}.{says}")


def test_topics_and_their_keys_stay() -> None:
    assert contract_breaks(CONTRACTS, {SESSIONS.name: CONTRACTS[SESSIONS.name]}) == [
        "credits.holds.v1: removed; topics that were published are kept"
    ]
    moved = copy.deepcopy(CONTRACTS)
    next(each for each in moved[HOLDS.name]["customProperties"] if each["property"] == "key")["value"] = "member_id"
    assert contract_breaks(CONTRACTS, moved) == ["credits.holds.v1: its key changed from session_id to member_id"]
