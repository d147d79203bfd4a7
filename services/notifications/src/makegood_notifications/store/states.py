"""The states of messages to people, as others read them."""

from __future__ import annotations

from typing import Final

from makegood_chassis.states.source import StateSource
from makegood_contracts.events import DeliveryState

STATES: Final = (
    StateSource(
        DeliveryState,
        "deliveries",
        ("person_id",),
        columns={"delivery_id": "id::text", "session_id": "session_id::text"},
    ),
)
