"""Request and response bodies."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from email_validator import EmailNotValidError, validate_email
from makegood_chassis.http.models import Flag, Instant, RequestModel, View, Whole, example
from makegood_chassis.http.names import Name
from makegood_contracts.zones import zone_names
from pydantic import AfterValidator, Field, StringConstraints

from makegood_notifications.domain.reminders import HandChannel
from makegood_notifications.phone_numbers import e164

LONGEST_TEXT = 4000
LOCAL_NAMES = ("invalid", "localhost", "test", "local", "example", "internal")
"""Domains that only reach local mailboxes. Development and private installations use them."""


def _readable(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" for character in text):
        raise ValueError("must not contain control characters other than line breaks and tabs")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _address(text: str) -> str:
    """A syntactically valid address. An address of a private domain is accepted as it is."""
    local, _, domain = text.rpartition("@")
    private = domain.lower().rpartition(".")[2] in LOCAL_NAMES
    try:
        checked = validate_email(
            f"{local}@private.example.org" if private else text, check_deliverability=False, allow_smtputf8=False
        )
    except EmailNotValidError:
        raise ValueError("must be an e-mail address, such as `ada@example.org`") from None
    if private and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?", domain):
        raise ValueError("must be an e-mail address, such as `ada@example.org`")
    return text if private else (checked.ascii_email or checked.normalized)


def _dialled(text: str) -> str:
    if e164(text) is None:
        raise ValueError("must be a telephone number with its country code, such as `+49 30 123456`")
    return text


def _zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError("must be an IANA time zone, such as `Europe/Berlin`")
    return name


Address = Annotated[
    str, StringConstraints(max_length=254), AfterValidator(_address), Field(json_schema_extra={"format": "email"})
]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ()./-]{5,32}$"), AfterValidator(_dialled)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$")]


class ChannelChoice(RequestModel):
    """Channels that the person wants."""

    email: Flag = True
    whatsapp: Flag = False
    chat: Flag = True


class ContactRequest(RequestModel):
    """How a person is reached."""

    model_config = example(name="Ada Example", email="ada@example.org", time_zone="Europe/Berlin")

    name: Name
    email: Address
    phone: Phone | None = Field(
        None,
        description="For WhatsApp, with the country code: `+49 …` or `0049 …`. It is stored and shown as written, and dialled in "
        "international form (E.164).",
    )
    time_zone: Zone
    locale: Locale = Field("en", description="Language of messages, such as `en` or `en-GB`.")
    channels: ChannelChoice = ChannelChoice()
    pending_email: Address | None = Field(
        None,
        description="To keep an address waiting for confirmation, send it as you read it. A new address belongs in `email`.",
    )


class ChannelsView(View):
    """Channels that the person wants."""

    email: bool
    whatsapp: bool
    chat: bool


class ContactView(View):
    """How a person is reached."""

    has_etag = True
    model_config = example(
        name="Ada Example",
        email="ada@example.org",
        phone=None,
        time_zone="Europe/Berlin",
        locale="en",
        channels={"email": True, "whatsapp": False, "chat": True},
        pending_email=None,
    )

    name: str
    email: str
    phone: str | None
    time_zone: str
    locale: str
    channels: ChannelsView
    pending_email: str | None = Field(
        None, description="A new address that waits to be confirmed by its link. Until then, `email` is used."
    )


class ConfirmationRequest(RequestModel):
    """The secret of the link: the part after `#`."""

    model_config = example(token="3vYc0dZb9yJ3hVnq2Q1mW8xk5TgL7uRfEoSaPiBzCjM")  # noqa: S106 (an example)

    token: Annotated[str, StringConstraints(min_length=1, max_length=128)]


ErasureReason = Literal["person_asked", "consent_withdrawn", "no_longer_needed", "law_requires_it"]
ErasureState = Literal["none", "pending", "erased"]


class ErasureView(View):
    """The state of a person's erasure."""

    model_config = example(
        person_id="anna",
        state="pending",
        reason="person_asked",
        requested_by="anna",
        due_at="2026-11-30T09:00:00Z",
        erased_at=None,
    )

    person_id: str
    state: ErasureState
    reason: ErasureReason | None
    requested_by: str | None
    due_at: Instant | None = Field(description="When a pending erasure happens. Until then it can be withdrawn.")
    erased_at: Instant | None


class MessageRequest(RequestModel):
    """A message to the other party."""

    model_config = example(text="See you on Tuesday.")

    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_readable)]


class TimeRequest(RequestModel):
    """The ready message to the provider. Without a length, it names all lengths that the plan includes."""

    model_config = example(length_minutes=45)

    length_minutes: Annotated[Whole, Field(ge=1, le=1440)] | None = None


class ReminderRequest(RequestModel):
    """How to remind the member."""

    model_config = example(channel="email")

    channel: HandChannel


MessageKind = Literal["text", "system"]


class MessageView(View):
    """A message in a room's chat. System messages have no `sender_id`. Messages that people wrote in the chat have no `template`;
    what they wrote when they cancelled has `cancellation-remark`. If the author's data was erased, the text is empty."""

    model_config = example(
        id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
        room_id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
        kind="text",
        template=None,
        text="See you on Tuesday.",
        sender_id="anna",
        sent_at="2026-11-23T09:00:00Z",
    )

    id: str
    room_id: str
    kind: MessageKind
    template: str | None = None
    text: str
    sender_id: str | None = None
    sent_at: Instant


Channel = Literal["email", "chat", "whatsapp", "in_app"]
DeliveryStatus = Literal["queued", "sent", "failed", "skipped"]


class DeliveryView(View):
    """A message to a person, with its channel and what became of it."""

    model_config = example(
        id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
        person_id="anna",
        channel="email",
        template="session-confirmed",
        subject="Your session is confirmed",
        status="sent",
        session_id="019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4",
        sent_at="2026-11-23T09:00:00Z",
    )

    id: str
    person_id: str
    channel: Channel
    template: str
    subject: str | None
    status: DeliveryStatus
    session_id: str | None
    sent_at: Instant | None


class InAppView(View):
    """A message in the app that only one person sees, in their language."""

    model_config = example(
        id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
        template="reminder",
        title="Your session is coming up",
        text="This is a reminder of your session with Dr. Grace. You can join shortly before the start.",
        link="https://app.example.org/sessions/019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4",
        session_id="019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4",
        sent_at="2026-11-23T09:00:00Z",
    )

    id: str
    template: str
    title: str
    text: str
    link: str
    session_id: str | None
    sent_at: Instant


class FeedView(View):
    """The secret address of a person's calendar feed. It is shown only once."""

    model_config = example(url="https://api.example.org/v1/calendar/3vYc0dZb9yJ3hVnq2Q1mW8xk5TgL7uRfEoSaPiBzCjM.ics")

    url: str


class ExportView(View):
    """Everything that this service stores about a person. Lists contain the stored rows, without the other party's
    messages and details.
    """

    model_config = example(
        person_id="anna",
        exported_at="2026-11-23T09:00:00Z",
        contact=None,
        rooms=[
            {
                "id": "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
                "member_id": "anna",
                "provider_id": "grace",
                "status": "active",
            }
        ],
        sessions=[],
        messages=[],
        deliveries=[],
        enrolments=[],
        offers=[],
        contact_change=None,
        erasure_request=None,
        calendar_feed=None,
        accesses=[],
        erased_at=None,
    )

    person_id: str
    exported_at: Instant
    contact: dict[str, Any] | None
    rooms: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    messages: list[dict[str, Any]] = Field(
        description="What the person wrote, and what the platform wrote in their rooms."
    )
    deliveries: list[dict[str, Any]]
    enrolments: list[dict[str, Any]]
    offers: list[dict[str, Any]]
    contact_change: dict[str, Any] | None = Field(description="An address that waits to be confirmed.")
    erasure_request: dict[str, Any] | None = Field(description="A pending erasure.")
    calendar_feed: dict[str, Any] | None
    accesses: list[dict[str, Any]] = Field(description="Who read or changed the person's data here, when and why.")
    erased_at: Instant | None
