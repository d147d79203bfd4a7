"""`notifications.deliveries.v1`: messages handed over to their channel, or given up. No addresses, no texts."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.topics import DELIVERIES, Topic

Channel = Literal["email", "chat", "whatsapp", "in_app"]


class DeliveryFact(Event, frozen=True, kw_only=True):
    """What every event of a delivery says."""

    topic: ClassVar[Topic] = DELIVERIES

    delivery_id: str
    person_id: str
    channel: Channel
    template: str
    session_id: str | None = None


class MessageDelivered(DeliveryFact, frozen=True, kw_only=True):
    """The channel took the message (NOTE-1)."""

    delivered_at: datetime


class MessageFailed(DeliveryFact, frozen=True, kw_only=True):
    """The channel refused the message for good."""

    failure: Literal["refused", "unreachable"]
