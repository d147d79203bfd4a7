"""The outermost layer of a service's application, plain ASGI: what every request gets, on any route."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

import structlog
from fastapi import Response
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from makegood_chassis import tracing
from makegood_chassis.http.bodies import ClientGone
from makegood_chassis.http.context import SCOPE_KEY, RequestContext, request_id
from makegood_chassis.http.failures import response_to
from makegood_chassis.http.idempotency import Replay
from makegood_chassis.http.preconditions import not_modified
from makegood_chassis.http.problems import Problem, invalid
from makegood_chassis.metrics import HTTP_ACTIVE, HTTP_DURATION

if TYPE_CHECKING:
    from makegood_chassis.service import Service

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer that does not say otherwise itself."""
_DEFAULTS: Final = frozenset(name for name, _ in _ALWAYS)
_WANTED: Final = frozenset(
    {
        b"x-request-id",
        b"traceparent",
        b"x-envoy-expected-rq-timeout-ms",
        b"if-none-match",
    }
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods by whose name metrics and spans tell requests apart. Clients may send others, and each would be series of its own."""
_CONNECTION: Final = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "app", "state")
_LONGEST_TIMEOUT_TEXT: Final = 9
_PATIENCE: Final = 3.0
"""Seconds that a refusal waits for its rows to be written."""
_FAREWELL: Final = 1.0
"""Seconds that a client whose token has expired has to read the end of its stream."""

_log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Request id and trace, deadline, problems for every error, security headers, and the metrics of requests."""

    active: ClassVar[int] = 0
    """The requests in progress, in the whole process."""

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service
        self._health = service.health
        self._open = service.open_requests
        self._deadline = service.settings.request_deadline
        self._durations: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = time.perf_counter()
        sent: dict[bytes, bytes] = {name: value for name, value in scope["headers"] if name in _WANTED}
        ends = asyncio.get_running_loop().time() + self._seconds(sent)
        context = RequestContext(request_id(_text(sent.get(b"x-request-id"))), _text(sent.get(b"traceparent")), ends)
        scope[SCOPE_KEY] = context
        span = _span(scope, context) if tracing.active() else None
        inner = scope
        if scope["method"] == "HEAD":
            inner, send = {**scope, "method": "GET"}, _without_body(send)
        if inner["method"] == "GET" and b"if-none-match" in sent:
            known = [value for name, value in scope["headers"] if name == b"if-none-match"]
            send = _unless_known(send, b", ".join(known))
        status, handling = 0, True
        deadline = context.timeout = asyncio.timeout_at(ends)
        whole = False

        async def reply(message: Message) -> None:
            nonlocal status, whole
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                if handling:
                    await self._keep_access(message["status"], context)
                status = message["status"]
                if handling and context.refusal is None:
                    deadline.reschedule(None)  # from here on the client sets the pace, and a stream may last
                self._complete_headers(message, context)
            await send(message)

        RequestMiddleware.active += 1
        try:
            async with deadline:
                self._open.add(context)
                try:
                    await self._handle(inner, receive, reply)
                finally:
                    self._open.discard(context)
        except ClientGone:
            pass
        except Exception as error:
            if status and context.refusal is not None and isinstance(error, TimeoutError):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FAREWELL):  # a client that reads nothing is cut off
                        if not whole:
                            await send({"type": "http.response.body", "body": b"", "more_body": False})
                        return
            if status:
                _log.error("answer cut off", error=type(error).__name__, request_id=context.request_id)
                raise
            handling = False
            response = self._response_to(error, deadline, context)
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._keep_access(response.status_code, context)
            except Exception as unwritten:
                response = self._response_to(unwritten, deadline, context)
            await response(scope, receive, reply)
        finally:
            RequestMiddleware.active -= 1
            route = inner.get("route")
            self._observe(scope["method"], route, status, time.perf_counter() - begun)
            if span is not None:
                span.end(_known(scope["method"]), getattr(route, "path", None), status)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if b"%" in scope["query_string"] and b"%00" in scope["query_string"]:
            raise invalid("#", "A parameter must not contain the character NUL.", where="query")
        if "\x00" in scope["path"]:
            raise Problem("not-found")
        try:
            await self._app(scope, receive, send)
        except Replay as replay:
            if (accesses := scope[SCOPE_KEY].accesses) is not None:
                accesses.repeated = True
            response = replay.response if replay.resource is None else await self._read_anew(scope, replay)
            await response(scope, receive, send)

    async def _read_anew(self, scope: Scope, replay: Replay) -> Response:
        """Answers for a change that never answered, by reading its resource as the same caller: 202 with the resource,
        or the answer of the read.
        """
        path = str(replay.resource)
        read: Scope = {
            **{name: scope[name] for name in _CONNECTION if name in scope},
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                pair for pair in scope["headers"] if pair[0] in (b"authorization", b"host", b"x-access-reason")
            ],
            SCOPE_KEY: scope[SCOPE_KEY],
        }
        status, headers, body = 0, {}, bytearray()

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers.update({name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]})
            else:
                body.extend(message.get("body", b""))

        await self._app(read, nothing, collect)
        headers.pop("content-length", None)
        if status == 200:
            status, headers = 202, headers | {"location": path, "idempotent-replayed": "true"}
        return Response(bytes(body), status, headers=headers)

    async def _keep_access(self, status: int, context: RequestContext) -> None:
        """Writes the access log. Data is not shown if its access could not be logged (SEC-5). An internal error shows
        no data.
        """
        accesses = context.accesses
        if accesses is None or not self._service.audited:
            return
        if 400 <= status < 500:
            accesses.fail(status)
        if accesses.refused and status >= 400:
            await self._service.refusals.keep(accesses)
        elif status < 500 and accesses.pending and (status < 400 or accesses.failed):
            await self._service.access_writer.keep(accesses)

    def _seconds(self, sent: dict[bytes, bytes]) -> float:
        """Seconds until the deadline: ours or the gateway's, whichever is earlier."""
        expected = sent.get(b"x-envoy-expected-rq-timeout-ms")
        if expected is not None and expected.isdigit() and len(expected) <= _LONGEST_TIMEOUT_TEXT and int(expected) > 0:
            return min(self._deadline, int(expected) / 1000)
        return self._deadline

    def _response_to(self, error: Exception, deadline: asyncio.Timeout, context: RequestContext) -> Response:
        if context.refusal is not None and isinstance(error, TimeoutError):
            return context.refusal.response()
        if isinstance(error, TimeoutError) and deadline.expired():
            return Problem("deadline-exceeded", headers={"Retry-After": "1"}).response()
        if not self._health.started and isinstance(error, RuntimeError):
            return Problem(
                "unavailable", "The service is starting. Try again.", headers={"Retry-After": "1"}
            ).response()
        return response_to(error, context.request_id)

    def _complete_headers(self, message: Message, context: RequestContext) -> None:
        headers: list[tuple[bytes, bytes]] = [*message["headers"]]
        said = {name for name, _ in headers}
        headers += _ALWAYS if said.isdisjoint(_DEFAULTS) else [each for each in _ALWAYS if each[0] not in said]
        headers.append((b"x-request-id", context.request_id.encode()))
        if self._health.draining:
            # The next request on this connection could meet its end, so whoever sends it uses another one.
            headers.append((b"connection", b"close"))
        message["headers"] = headers

    def _observe(self, method: str, route: Any, status: int, seconds: float) -> None:
        labels = (_known(method) if route else "other", getattr(route, "path", "none"), status)
        duration = self._durations.get(labels)
        if duration is None:
            duration = self._durations[labels] = HTTP_DURATION.labels(*labels)
        duration.observe(seconds)


HTTP_ACTIVE.set_function(lambda: RequestMiddleware.active)


def _known(method: str) -> str:
    return method if method in _METHODS else "other"


def _span(scope: Scope, context: RequestContext) -> tracing.Request | None:
    """The request's span. What the request leads to belongs to it. Probes have none."""
    if not scope["path"].startswith("/v1/"):
        return None
    span = tracing.request(_known(scope["method"]), scope["scheme"], context.sent_traceparent, context.request_id)
    if span is not None:
        context.belongs_to(span.traceparent)
    return span


def _without_body(send: Send) -> Send:
    """HEAD is answered as GET without the body (RFC 9110 §9.3.2). A body that continues, as in a stream, is cut off."""

    async def headers_alone(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        if message.get("more_body", False):
            raise ClientGone

    return headers_alone


def _unless_known(send: Send, known: bytes) -> Send:
    """A client that already has the answer, by `If-None-Match`, gets 304 without it (RFC 9110 §13.1.2)."""
    known_already = False

    async def without_repeating(message: Message) -> None:
        nonlocal known_already
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = message["headers"]
            known_already = any(name == b"etag" and not_modified(known, value) for name, value in headers)
            if known_already:
                about_a_body = (b"content-length", b"content-type")
                message["status"] = 304
                message["headers"] = [pair for pair in headers if pair[0] not in about_a_body]
        elif known_already and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return without_repeating


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
