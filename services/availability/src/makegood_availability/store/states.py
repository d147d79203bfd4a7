"""The states of slots that are or were held, as others read them."""

from __future__ import annotations

from typing import Final

from makegood_chassis.states.source import StateSource
from makegood_contracts.events import HoldState

STATES: Final = (
    StateSource(
        HoldState,
        "slot_holds",
        ("member_id", "provider_id"),
        key="session_id",
        columns={
            "session_id": "session_id::text",
            "blocked_from": "lower(blocked)",
            "blocked_until": "upper(blocked)",
            "status": "CASE WHEN live THEN 'held' ELSE 'released' END",
        },
        # Neither offers of the waitlist, nor sessions that ended before they had a slot.
        where="offered_to IS NULL AND hold_until IS NOT NULL",
    ),
)
