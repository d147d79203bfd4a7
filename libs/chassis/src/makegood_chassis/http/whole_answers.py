"""uvicorn's HTTP protocol, with one difference: an answer that is known whole leaves with one write.

uvicorn writes the head and the body of an answer separately. Each write is a system call that wakes the client, and with the checks of
each header it takes a sixth of a short request's time. Here the head waits for the body that follows at once, as ASGI wants it.
Everything else, such as streams, HEAD, the last answer of a connection and faulty headers, is left to uvicorn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_LEFT_TO_UVICORN: Final = frozenset({b"connection", b"transfer-encoding"})
_TEXT: Final = bytes(byte for byte in range(256) if (byte >= 32 and byte != 127) or byte == 9)
"""What a head consists of, besides the ends of its lines."""


class WholeAnswers(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None:  # None for a request to upgrade
            self.cycle.__class__ = _Cycle  # uvicorn has no setting for it. Its task has not begun


class _Cycle(RequestResponseCycle):
    """A request and its answer."""

    _start: Any = None
    """The message with status and headers, until the body follows."""

    async def send(self, message: ASGISendEvent) -> None:
        start, self._start = self._start, None
        if start is None:
            if message["type"] == "http.response.start" and _has_length(message):
                self._start = message
                return
        elif not self._sent_whole(start, message):
            await super().send(start)
        else:
            return
        await super().send(message)

    async def send_500_response(self) -> None:
        self._start = None  # the head that waits has not been sent
        await super().send_500_response()

    def _sent_whole(self, start: Any, message: Any) -> bool:
        """Sends the answer, unless there is something unusual about it, the connection or the request."""
        if (
            message["type"] != "http.response.body"
            or message.get("more_body", False)
            or self.response_started
            or self.disconnected
            or self.flow.write_paused
            or not self.keep_alive
            or self.access_log
            or self.scope["method"] == "HEAD"
        ):
            return False
        lines = [STATUS_LINE[start["status"]]]
        length = 0
        headers = (*self.default_headers, *start["headers"])
        for name, value in headers:
            if name in _LEFT_TO_UVICORN:
                return False
            if name == b"content-length":
                length = int(value)
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        body = message.get("body", b"")
        if length != len(body) or head.translate(None, _TEXT) != b"\r\n" * (len(headers) + 2):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.expected_content_length = 0
        self.transport.write(head + body)
        self.message_event.set()
        self.on_response()
        return True


def _has_length(start: Any) -> bool:
    return any(name == b"content-length" for name, _ in start["headers"])
