"""An OpenTelemetry collector that keeps what it gets, as it came: protobuf has texts in plain UTF-8."""

from __future__ import annotations

import gzip
import ssl
from threading import Lock, Thread

import uvicorn
from makegood_devtools.traces import Span, spans_in
from makegood_stack.ports import LISTEN, free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from makegood_testkit.waiting import until


class Collector:
    """Takes spans over OTLP/HTTP on a port of its own, in a thread. A context manager; `received` is all of it. `tls`: of the
    server.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._parts: list[bytes] = []
        self._lock = Lock()
        self._port = free_port()
        app = Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])
        config = uvicorn.Config(app, host=LISTEN, port=self._port, log_level="error", lifespan="off")
        config.load()
        config.ssl = tls
        self._scheme = "https" if tls else "http"
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, daemon=True)

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self._lock:
            self._parts.append(body)
        return Response()

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://{LISTEN}:{self._port}"

    @property
    def received(self) -> bytes:
        with self._lock:
            return b"".join(self._parts)

    @property
    def spans(self) -> list[Span]:
        """Every span so far."""
        with self._lock:
            parts = list(self._parts)
        return [span for part in parts for span in spans_in(part)]

    def __enter__(self) -> Collector:
        self._thread.start()
        until(lambda: self._server.started, what="the collector")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
