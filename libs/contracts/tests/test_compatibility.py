"""The gate: which changes of an event its readers survive."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from makegood_contracts.events import SchedulePublished, SessionReserved, SlotRefused
from makegood_contracts.publishing.compatibility import breaks
from makegood_contracts.publishing.schemas import schema_of

PUBLISHED = {kind.type: schema_of(kind) for kind in (SessionReserved, SlotRefused, SchedulePublished)}

Edit = Callable[[dict[str, Any]], Any]


def _after(kind: Any, edit: Edit) -> list[str]:
    today = copy.deepcopy(PUBLISHED)
    edit(today[kind.type])
    return breaks(PUBLISHED, today)


def test_no_change_breaks_nothing() -> None:
    assert breaks(PUBLISHED, PUBLISHED) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: s["properties"].update(note={"type": "string", "default": ""}),
        lambda s: s["properties"]["modality"]["enum"].append("hologram"),
        lambda s: s.update(description="Said better."),
        lambda s: s["required"].reverse(),
    ],
)
def test_what_is_added_breaks_nothing(edit: Edit) -> None:
    assert _after(SessionReserved, edit) == []


def test_a_new_event_breaks_nothing() -> None:
    assert breaks({}, PUBLISHED) == []


def _rename(schema: dict[str, Any]) -> None:
    schema["properties"]["confirm_until"] = schema["properties"].pop("confirm_by")
    schema["required"].remove("confirm_by")


@pytest.mark.parametrize(
    ("kind", "edit", "messages"),
    [
        (SessionReserved, _rename, ["SessionReserved.confirm_by: removed; fields are only ever added"]),
        (
            SessionReserved,
            lambda s: s["properties"]["confirm_by"].update(type="integer"),
            [
                "SessionReserved.confirm_by: type changed from string (date-time) to integer (date-time); add a field of another name instead"
            ],
        ),
        (
            SessionReserved,
            lambda s: s["properties"].update(
                confirm_by={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
            ),
            [
                "SessionReserved.confirm_by: type changed from string (date-time) to null or string (date-time); add a field of another name instead"
            ],
        ),
        (
            SessionReserved,
            lambda s: (s["properties"].update(note={"type": "string"}), s["required"].append("note")),
            ["SessionReserved.note: added without a default; earlier events do not have it"],
        ),
        (
            SessionReserved,
            lambda s: s["required"].append("venue_id"),
            ["SessionReserved.venue_id: became required; earlier events do not have it"],
        ),
        (
            SessionReserved,
            lambda s: s["required"].remove("member_id"),
            ["SessionReserved.member_id: no longer required; readers rely on it"],
        ),
        (
            SessionReserved,
            lambda s: s["properties"]["modality"]["enum"].remove("chat"),
            ["SessionReserved.modality: no longer allows 'chat'; values are only ever added"],
        ),
        (
            SessionReserved,
            lambda s: s.update({"x-key": "room_id"}),
            ["SessionReserved: its key changed from session_id to room_id; publish a new event instead"],
        ),
        (
            SlotRefused,
            lambda s: (
                s["$defs"]["Reason"]["properties"].pop("detail") and s["$defs"]["Reason"]["required"].remove("detail")
            ),
            ["SlotRefused.reasons[].detail: removed; fields are only ever added"],
        ),
        (
            SlotRefused,
            lambda s: s["$defs"]["Reason"]["properties"]["code"]["enum"].remove("slot-taken"),
            ["SlotRefused.reasons[].code: no longer allows 'slot-taken'; values are only ever added"],
        ),
        (
            SchedulePublished,
            lambda s: s["$defs"]["SessionType"]["properties"]["modalities"]["items"]["enum"].remove("video"),
            ["SchedulePublished.session_types[].modalities[]: no longer allows 'video'; values are only ever added"],
        ),
    ],
)
def test_what_readers_would_not_survive_is_named(kind: Any, edit: Edit, messages: list[str]) -> None:
    assert _after(kind, edit) == messages


def test_an_event_that_is_gone_is_named() -> None:
    today = {name: schema for name, schema in PUBLISHED.items() if name != SessionReserved.type}
    assert breaks(PUBLISHED, today) == ["SessionReserved: removed; published events must be kept"]
