"""Server-sent events: client apps follow sessions, chat and credits live, and resume after a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from makegood_chassis import real_time
from makegood_chassis.http.context import context
from makegood_chassis.http.rights import Access, Caller, operation
from makegood_chassis.messaging.failures import is_transient

from makegood_notifications.api.parameters import DependenciesOf
from makegood_notifications.api.stream_models import StreamEvent
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.store import stream
from makegood_notifications.store.stream import Position, StreamEntry
from makegood_notifications.streams import OpenStream

router = APIRouter(tags=["stream"])

LOOK: Final = 1.0
"""Seconds after which the stream is read even without a wake-up. Without Redis, nothing else triggers a read."""
SELDOM: Final = 5.0
"""The same with Redis, where it only makes up for a lost wake-up."""
RETRY: Final = 1000
"""Milliseconds after which a client app reconnects if its connection breaks."""
LATER: Final = 60_000
"""The same if the person has too many streams: reconnecting at once would close another one."""
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the connection is alive."""
AT_ONCE: Final = 100
SETTLE: Final = 0.01
"""First pause after a wake-up that found nothing, because an entry is shown only once older transactions have ended."""

_encode = msgspec.json.Encoder().encode


class EventStream(StreamingResponse):
    """Server-sent events, as the HTML standard describes them."""

    media_type = "text/event-stream"


@router.get(
    "/v1/stream",
    summary="Follow the live stream",
    response_class=EventStream,
    responses={200: {"model": StreamEvent, "description": "Events. Their data has only ids."}},
)
async def follow_stream(
    access: Annotated[Access, Depends(operation("stream.follow"))],
    request: Request,
    dependencies: DependenciesOf,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that you have seen.")
    ] = None,
) -> EventStream:
    """Streams your events `session.changed`, `room.message`, `credits.changed` and `waitlist.offered`.

    With `Last-Event-ID`, the stream continues after that event, up to two days back. Without it, the stream starts now.

    The first event is `stream.opened`. You can resume from its id. In its data, `resumed` says whether the stream
    continues after the id that you sent. It is false if the id is unknown or too old. Then read again whatever you
    show. The stream ends when its access token expires. Reconnect with a new token.

    A person can have five streams open. One more closes the oldest, which ends with the event `stream.closed` and
    `{"reason": "too-many-streams"}`. Do not reconnect at once, because that would close another one.
    """
    person_id = access.caller.subject
    # Never refused: that would stop a browser's EventSource for good, and it sends its last id by itself.
    after = Position.parse(last_event_id) if last_event_id else None
    async with dependencies.database.reading() as queries:
        end = await stream.end(queries)
        # An id beyond the end is from another installation, or from before a restore. Nothing would ever follow it.
        resumed = after is not None and after <= end and not await stream.is_pruned(queries, person_id, after)
    streams = dependencies.streams
    here = context(request)
    opened = streams.enter(person_id, here.break_off)
    here.at_end = partial(streams.leave, opened)
    return EventStream(
        _events(dependencies, access.caller, opened, after if after is not None and resumed else end, resumed=resumed),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    dependencies: Dependencies, caller: Caller, stream: OpenStream, after: Position, *, resumed: bool
) -> AsyncIterator[bytes]:
    """Entries as they arrive, until the process stops or the caller's token expires. Then the client app reconnects
    with its last id. If the person opened too many other streams, the stream ends with that reason.
    """
    loop = asyncio.get_running_loop()
    streams = dependencies.streams
    look = LOOK if not dependencies.signals.connected else SELDOM
    behind = resumed
    async with streams.following(stream):
        yield b"retry: %d\n" % RETRY + _event(StreamEntry(after, "stream.opened", {"resumed": resumed}))
        spoke, pause = loop.time(), look
        while not stream.over and stream.closed_because is None and real_time.now() < caller.until:
            try:
                entries = await _look(dependencies, caller.subject, after, behind=behind)
            except _Forgotten:
                return  # the client app reconnects with its last id and is told that the stream does not resume
            if entries is not None:
                behind = behind and bool(entries)
            if entries:
                yield b"".join(_event(entry) for entry in entries)
                after, spoke = entries[-1].position, loop.time()
                continue
            if loop.time() - spoke > HEARTBEAT:
                yield b": still here\n\n"
                spoke = loop.time()
            look = SELDOM if dependencies.signals.connected else LOOK
            pause = SETTLE if await stream.rest(min(pause, look)) else min(pause * 2, look)
        if stream.closed_because is not None:
            yield b"event: stream.closed\nretry: %d\ndata: %b\n\n" % (LATER, _encode({"reason": stream.closed_because}))


class _Forgotten(Exception):
    """Something was pruned before a reconnected client app could read it."""


async def _look(
    dependencies: Dependencies, person_id: str, after: Position, *, behind: bool
) -> Sequence[StreamEntry] | None:
    """The person's next entries. None if the database cannot be reached. `behind`: the client app has not caught up
    yet.
    """
    try:
        async with dependencies.database.reading() as queries:
            found = await stream.entries(queries, person_id, after, AT_ONCE)
            if behind and await stream.is_pruned(queries, person_id, after):
                raise _Forgotten
    except Exception as error:
        if not is_transient(error):
            raise
        return None
    return found


def _event(entry: StreamEntry) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (entry.position.text.encode(), entry.kind.encode(), _encode(entry.data))
