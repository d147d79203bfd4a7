"""Server-sent events: client apps follow their sessions, chat and credits live, and resume after a drop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from makegood_chassis.http.problems import invalid
from makegood_chassis.http.rights import Access, Caller, operation
from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.service import Service

from makegood_notifications.store import stream
from makegood_notifications.store.stream import Entry, Position

router = APIRouter(tags=["stream"])

LOOK: Final = 1.0
"""Seconds between looks that no wake-up asked for; what a stream falls back to without Redis."""
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the connection lives."""
AT_ONCE: Final = 100
SETTLE: Final = 0.01
"""First pause after a wake-up that brought nothing: an entry is shown once older transactions have ended."""

_encode = msgspec.json.Encoder().encode


@router.get(
    "/v1/stream",
    summary="Follow what happens, live",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events; data holds ids."}},
)
async def follow_stream(
    access: Annotated[Access, Depends(operation("stream.follow"))],
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> StreamingResponse:
    """Events `session.changed`, `room.message`, `credits.changed`, `waitlist.offered` of the caller. With `Last-Event-ID` those
    since then, up to two days back; without, those from now on. The stream ends when its access token does: come back with a
    new one."""
    service: Service = request.app.state.service
    after = Position.parse(last_event_id) if last_event_id else None
    if last_event_id and after is None:
        raise invalid("#/Last-Event-ID", "Send the `id` of an event as it came.", where="header")
    async with service.database.reading() as queries:
        end = await stream.end(queries)
    # An id from beyond the end is of another installation or of data that a restore took back; it would be waited for in vain.
    after = end if after is None else min(after, end)
    return StreamingResponse(
        _events(service, access.caller, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class Bell:
    """Rings when something may have happened for a person; `over` once the process stops."""

    def __init__(self, service: Service, person_id: str) -> None:
        self._rung = asyncio.Event()
        self.over = False
        self._listening = asyncio.create_task(self._listen(service, f"stream:{person_id}"))

    async def _listen(self, service: Service, key: str) -> None:
        async for _ in service.signals.listen(key):
            self._rung.set()
        self.over = True
        self._rung.set()

    async def rest(self, seconds: float) -> bool:
        """Waits until it rings, `seconds` at most; whether it rang."""
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return False
        self._rung.clear()
        return True

    def close(self) -> None:
        self._listening.cancel()


async def _events(service: Service, caller: Caller, after: Position) -> AsyncIterator[bytes]:
    """Entries as they come; ends when the process stops or the caller's token does, and the client app comes back with its last
    id."""
    loop = asyncio.get_running_loop()
    person_id = caller.subject
    bell = Bell(service, person_id)
    try:
        yield f"retry: 1000\nid: {after.text}\n\n".encode()
        spoke, pause = loop.time(), LOOK
        while not bell.over and time.time() < caller.until:
            if entries := await _look(service, person_id, after):
                yield b"".join(_event(entry) for entry in entries)
                after, spoke = entries[-1].position, loop.time()
                continue
            if loop.time() - spoke > HEARTBEAT:
                yield b": still here\n\n"
                spoke = loop.time()
            pause = SETTLE if await bell.rest(pause) else min(pause * 2, LOOK)
    finally:
        bell.close()


async def _look(service: Service, person_id: str, after: Position) -> Sequence[Entry]:
    try:
        async with service.database.reading() as queries:
            return await stream.entries(queries, person_id, after, AT_ONCE)
    except Exception as error:
        if not is_transient(error):
            raise
        return ()


def _event(entry: Entry) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (entry.position.text.encode(), entry.kind.encode(), _encode(entry.data))
