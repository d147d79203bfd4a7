"""`notifications.deliveries.v1`: messages handed over to their channel, or given up. No addresses, no texts."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.topics import DELIVERIES, MESSAGES, PEOPLE, Topic

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


class MessagePosted(Event, frozen=True, kw_only=True):
    """Somebody wrote in a room's chat (ROOM-4): a sign that they are there (ROOM-2). What they wrote stands nowhere here."""

    topic: ClassVar[Topic] = MESSAGES

    message_id: str
    room_id: str
    sender_id: str
    sent_at: datetime


class PersonErased(Event, frozen=True, kw_only=True):
    """All personal data of a person was erased; whoever keeps a remark or note of theirs erases it too."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    erased_at: datetime


class RemarkKeyPublished(Event, frozen=True, kw_only=True):
    """The public half of a person's key: what they want another person to be told is sealed with it, and opened by notifications
    alone. The newest counts; an erasure ends it."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    public_key: str
    """X25519, 32 bytes in base64."""


class TokensRevoked(Event, frozen=True, kw_only=True):
    """An operator ended a person's sessions, or one of them: their access tokens are refused from now on, before their end."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    jti: str | None
    """The one token that is meant; null: all that were issued before `revoked_at`."""
    revoked_at: datetime
    """In real time, as tokens count it, whatever the development clock says."""
