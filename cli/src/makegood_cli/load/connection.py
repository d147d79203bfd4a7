"""A cheap HTTP/1.1 connection, because the load shares the machine with the platform it measures.

It parses answers with httptools, like uvicorn, and has one request in flight at a time, like a client app's pool.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools


class Connection(asyncio.Protocol):
    """A keep-alive connection to the gateway."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: Any = None
        self._body = bytearray()

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connects. Raises OSError if nothing listens there."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't inherit from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the gateway closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(error)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def request(self, head: bytes, body: bytes = b"") -> tuple[int, bytes]:
        """Sends a request and returns status and body. `head` is complete except for Content-Length.

        Raises OSError if the connection breaks.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        return await self._answer


def head(method: str, path: str, host: str, token: str, *extra: tuple[str, str]) -> bytes:
    """A request head without Content-Length and the final empty line."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in extra)]
    return ("\r\n".join(lines) + "\r\n").encode()
