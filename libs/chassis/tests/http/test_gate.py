"""What the gate gives back at the end of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from makegood_chassis.http.app import create_app

from .conftest import Make

PATH = "/v1/calendar/feed"


@pytest.mark.parametrize("expensive", [[], [PATH]])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_that_breaks_off_is_closed_at_once(
    make_service: Make, method: str, expensive: list[str]
) -> None:
    """Even while a piece of it is being sent. Left to the garbage collector, it would hold what it uses until some time later."""
    closed, sending = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b": tick\n\n"
        finally:
            await asyncio.sleep(0)
            closed.set()

    kept: list[StreamingResponse] = []  # as a traceback or a cycle might

    async def handler() -> StreamingResponse:
        kept.append(StreamingResponse(endless(), media_type="text/event-stream"))
        return kept[0]

    async def gone() -> dict[str, Any]:
        await sending.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("more_body", False):
            sending.set()
            await asyncio.Event().wait()  # the client reads nothing

    router = APIRouter()
    router.add_api_route(PATH, handler, response_model=None)
    app = create_app(make_service(), title="T", description="", routers=[router], rights={}, expensive=expensive)
    scope = {
        "type": "http", "asgi": {"spec_version": "2.3"}, "method": method, "path": PATH, "query_string": b"",
        "headers": [], "root_path": "",
    }  # fmt: skip
    async with asyncio.timeout(30):
        await app(scope, gone, send)
    assert closed.is_set()
