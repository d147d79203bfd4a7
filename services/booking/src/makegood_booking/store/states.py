"""The states of sessions and rooms, as others read them."""

from __future__ import annotations

from typing import Final

from makegood_chassis.states.source import StateSource
from makegood_contracts.events import RoomState, SessionState

_PARTIES: Final = ("member_id", "provider_id")

STATES: Final = (
    StateSource(
        SessionState,
        "sessions",
        _PARTIES,
        columns={"session_id": "id::text", "room_id": "room_id::text", "session_version": "version"},
    ),
    StateSource(
        RoomState,
        "rooms",
        _PARTIES,
        columns={"room_id": "id::text", "opened_at": "created_at", "room_version": "version"},
    ),
)
