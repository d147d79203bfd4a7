"""What the live stream sends. Data holds ids alone: read the rest from its own address."""

from __future__ import annotations

from typing import Annotated, Literal

from makegood_chassis.http.models import View, example
from pydantic import Field, RootModel


class StreamStart(View):
    """Whether the stream goes on after the id that was sent. If not, read anew what you show."""

    resumed: bool


class StreamOpened(View):
    """The first event of a stream; its id is a place to come back to."""

    event: Literal["stream.opened"]
    data: StreamStart


class SessionChange(View):
    """Which session, and its version now: one that you have seen already tells nothing new."""

    session_id: str
    room_id: str
    version: int


class SessionChanged(View):
    """A session of the person's changed."""

    event: Literal["session.changed"]
    data: SessionChange


class NewMessage(View):
    """Which message, in which room."""

    room_id: str
    message_id: str


class RoomMessage(View):
    """A message was written in a room of the person's."""

    event: Literal["room.message"]
    data: NewMessage


class CreditsChange(View):
    """Whose credits."""

    member_id: str


class CreditsChanged(View):
    """The member's credits moved."""

    event: Literal["credits.changed"]
    data: CreditsChange


class WaitlistOffer(View):
    """To which entry of the waitlist, in which room."""

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
    """The stream ends here; do not come back at once."""

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
