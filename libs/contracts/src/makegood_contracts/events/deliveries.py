"""`notifications.deliveries.v1`, `.messages.v1` and `.people.v1`: deliveries, chat activity, erasures. No addresses, no
message texts."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.topics import DELIVERIES, MESSAGES, PEOPLE, Topic

Channel = Literal["email", "chat", "whatsapp", "in_app"]


class DeliveryFact(Event, frozen=True, kw_only=True):
    """The fields of every delivery event."""

    topic: ClassVar[Topic] = DELIVERIES

    delivery_id: str
    person_id: str
    channel: Channel
    template: str
    session_id: str | None = None


class MessageDelivered(DeliveryFact, frozen=True, kw_only=True):
    """The channel accepted the message (NOTE-1)."""

    delivered_at: datetime


class MessageFailed(DeliveryFact, frozen=True, kw_only=True):
    """The channel refused the message, or could not be reached, and the platform stopped trying."""

    failure: Literal["refused", "unreachable"]


class MessagePosted(Event, frozen=True, kw_only=True):
    """Someone wrote in a room's chat (ROOM-4), which counts as activity (ROOM-2). The text is not included."""

    topic: ClassVar[Topic] = MESSAGES

    message_id: str
    room_id: str
    sender_id: str
    sent_at: datetime


class PersonErased(Event, frozen=True, kw_only=True):
    """A person's data was erased. Every service that keeps remarks or notes of theirs erases these too."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    erased_at: datetime


class RemarkKeyPublished(Event, frozen=True, kw_only=True):
    """A person's new public key. Remarks that they write for another person are encrypted with it; only notifications can
    decrypt them. It replaces earlier keys. Erasing the person destroys the private key."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    public_key: str
    """X25519, 32 bytes in base64."""


class TokensRevoked(Event, frozen=True, kw_only=True):
    """Ops revoked one or all of a person's access tokens, which are refused from now on."""

    topic: ClassVar[Topic] = PEOPLE

    person_id: str
    jti: str | None
    """The revoked token; null revokes all tokens issued before `revoked_at`."""
    revoked_at: datetime
    """In real time, as in tokens, even if the development clock was moved."""
