"""Which handler takes which event. The topics to read follow from these tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import EventHandlers
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditAdjusted,
    CreditExpired,
    CreditForfeited,
    CreditGranted,
    CreditReturned,
    CreditSpent,
    InvoiceIssued,
    InvoiceVoided,
    RoomClosed,
    RoomOpened,
    SessionJoined,
    SessionLeft,
    SessionRejected,
    SessionRequested,
    SessionStarted,
)

from makegood_notifications.handlers.rooms import RoomModel
from makegood_notifications.handlers.sessions import STATUS, SessionMessages, follow

ONLY_STREAMED = (SessionRequested, SessionRejected, SessionJoined, SessionLeft, SessionStarted)
CREDIT_MOVEMENTS = (
    CreditGranted, CreditExpired, CreditForfeited, CreditSpent, CreditAdjusted, InvoiceIssued, InvoiceVoided,
)  # fmt: skip


def read_model_handlers(rooms: RoomModel) -> EventHandlers:
    """What rebuilds the read models from the topics and tells nobody."""

    async def followed(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        await follow(batch, unit)

    return {RoomOpened: rooms.opened, RoomClosed: rooms.closed, **dict.fromkeys(STATUS, followed)}


def event_handlers(rooms: RoomModel, messages: SessionMessages) -> EventHandlers:
    """What the service does with events as they happen."""
    return {
        **read_model_handlers(rooms),
        **dict.fromkeys(STATUS, messages.followed),
        **dict.fromkeys(ONLY_STREAMED, messages.passing),
        **dict.fromkeys(CREDIT_MOVEMENTS, messages.credits_changed),
        CreditReturned: messages.credits_returned,
    }
