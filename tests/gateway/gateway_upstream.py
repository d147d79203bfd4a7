"""What stands where the services stand: it answers with what reached it, or misbehaves as its path says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Upstream:
    """One service's place. `seen` counts the calls that were echoed."""

    def __init__(self, name: str, jwks: Callable[[], dict[str, Any]] | None = None) -> None:
        self.name = name
        self.jwks = jwks
        self.seen = 0
        self._release = threading.Event()

    def go_on(self) -> None:
        """Lets a held stream send the rest."""
        self._release.set()

    async def held(self) -> None:
        await asyncio.to_thread(self._release.wait, 20)


def application(upstream: Upstream) -> Starlette:
    """The application of one upstream."""

    async def ready(request: Request) -> Response:
        return Response("ready")

    async def keys(request: Request) -> Response:
        return JSONResponse(upstream.jwks() if upstream.jwks else {"keys": []})

    async def stream(request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            yield "event: session.changed\ndata: {}\n\n"
            await upstream.held()
            yield "event: room.message\ndata: {}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def slow(request: Request) -> Response:
        await asyncio.sleep(30)
        return Response("late")

    async def soon(request: Request) -> Response:
        await asyncio.sleep(0.3)
        return Response("in time")

    async def openapi(request: Request) -> Response:
        return JSONResponse({"openapi": "3.1.0", "info": {"title": upstream.name, "version": "1"}, "paths": {}})

    async def echo(request: Request) -> Response:
        upstream.seen += 1
        body = await request.body()
        return JSONResponse(
            {
                "service": upstream.name,
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "headers": dict(request.headers),
                "bytes": len(body),
            },
            status_code=201 if request.url.path == "/v1/rooms/new/messages" else 200,
            headers={"ETag": '"1"'},
        )

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/readyz", ready),
            Route("/metrics", ready),
            Route("/livez", ready),
            Route("/.well-known/jwks.json", keys),
            Route(f"/v1/{upstream.name}/openapi.json", openapi),
            Route("/v1/stream", stream),
            Route("/v1/sessions/slow", slow, methods=methods),
            Route("/v1/sessions/slow/cancel", slow, methods=methods),
            Route("/v1/sessions/soon", soon, methods=methods),
            Route("/{path:path}", echo, methods=methods),
        ]
    )
