"""The events of the live stream. They have only ids: read the rest from its own address."""

from __future__ import annotations

from typing import Annotated, Literal

from makegood_chassis.http.models import View, example
from pydantic import Field, RootModel


class StreamStart(View):
    """Whether the stream continues after the id that you sent. If not, read again what you show."""

    resumed: bool


class StreamOpened(View):
    """The first event of a stream. Its id is a place to resume from."""

    event: Literal["stream.opened"]
    data: StreamStart


class SessionChange(View):
    """Which session, and its version. Ignore a version that you have already seen."""

    session_id: str
    room_id: str
    version: int


class SessionChanged(View):
    """One of the person's sessions changed."""

    event: Literal["session.changed"]
    data: SessionChange


class NewMessage(View):
    """Which message, in which room."""

    room_id: str
    message_id: str


class RoomMessage(View):
    """A message was written in one of the person's rooms."""

    event: Literal["room.message"]
    data: NewMessage


class CreditsChange(View):
    """Whose credits."""

    member_id: str


class CreditsChanged(View):
    """The member's credits changed."""

    event: Literal["credits.changed"]
    data: CreditsChange


class WaitlistOffer(View):
    """Which waitlist entry, in which room."""

    entry_id: str
    room_id: str


class WaitlistOffered(View):
    """The member is offered a slot."""

    event: Literal["waitlist.offered"]
    data: WaitlistOffer


class StreamEnd(View):
    """Why the stream ended."""

    reason: Literal["too-many-streams"]


class StreamClosed(View):
    """The stream ends here. Do not reconnect at once."""

    event: Literal["stream.closed"]
    data: StreamEnd


class StreamEvent(
    RootModel[
        Annotated[
            StreamOpened | SessionChanged | RoomMessage | CreditsChanged | WaitlistOffered | StreamClosed,
            Field(discriminator="event"),
        ]
    ]
):
    """One event of the stream: the fields `event` and `data` (JSON) of a server-sent event."""

    model_config = example(
        event="session.changed",
        data={
            "session_id": "019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4",
            "room_id": "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
            "version": 3,
        },
    )
