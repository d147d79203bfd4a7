"""An answer that is known whole leaves in one piece, and everything else as uvicorn sends it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from makegood_chassis.http.server_config import server_config
from starlette.types import Receive, Scope, Send

_DATA_SEGMENTS = slice(152, 156)
"""Where Linux's `tcp_info` has the number of received segments with data."""

app = FastAPI()
go_on = asyncio.Event()


@app.get("/whole")
async def whole() -> Response:
    return Response(b"hello", headers={"etag": '"1"'})


@app.head("/whole")
async def head_alone() -> Response:
    return Response(b"hello")


@app.get("/empty")
async def empty() -> Response:
    return Response(status_code=204)


@app.get("/stream")
async def stream() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        await go_on.wait()
        yield b"hello"

    return StreamingResponse(pieces())


@app.get("/last")
async def last() -> Response:
    return Response(b"hello", headers={"connection": "close"})


@app.get("/torn")
async def torn() -> Response:
    answer = Response(b"hello")
    answer.raw_headers.append((b"x-name", b"a\r\nx-forged: yes"))
    return answer


@app.get("/too-long")
async def too_long() -> Response:
    return Response(b"hello", headers={"content-length": "4"})


class Interrupted(Response):
    """Fails between its head and its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        raise RuntimeError


@app.get("/interrupted")
async def interrupted() -> Response:
    return Interrupted(b"hello")


class Connection:
    """A kept-alive connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    def send(self, method: str, path: str) -> None:
        self._writer.write(f"{method} {path} HTTP/1.1\r\nhost: notes\r\n\r\n".encode())

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    @property
    def segments(self) -> int:
        """How many segments with data have arrived."""
        held: socket.socket = self._writer.get_extra_info("socket")
        number: int = struct.unpack("=I", held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)[_DATA_SEGMENTS])[0]
        return number

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def _connected() -> AsyncIterator[Connection]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(server_config(app, "127.0.0.1", port))
    task = asyncio.create_task(server.serve([listener]))
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield connection
    finally:
        connection.close()
        server.should_exit = True
        await task
        listener.close()


async def test_head_and_body_arrive_in_one_piece_on_a_connection_that_stays_open() -> None:
    async with _connected() as connection:
        for number in range(1, 4):
            connection.send("GET", "/whole")
            head = await connection.head()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b'etag: "1"\r\n' in head
            assert await connection.reader.readexactly(5) == b"hello"
            assert connection.segments == number


async def test_the_head_of_a_stream_does_not_wait_for_its_first_piece() -> None:
    go_on.clear()
    async with _connected() as connection:
        connection.send("GET", "/stream")
        assert b"transfer-encoding: chunked\r\n" in await connection.head()
        go_on.set()
        assert await connection.reader.readuntil(b"0\r\n\r\n") == b"5\r\nhello\r\n0\r\n\r\n"


async def test_answers_without_a_body_are_followed_by_the_next_one() -> None:
    async with _connected() as connection:
        for method, path, status in (("HEAD", "/whole", 200), ("GET", "/empty", 204), ("GET", "/whole", 200)):
            connection.send(method, path)
            assert (await connection.head()).startswith(f"HTTP/1.1 {status} ".encode())
        assert await connection.reader.readexactly(5) == b"hello"


async def test_a_connection_that_ends_with_its_answer_is_closed() -> None:
    async with _connected() as connection:
        connection.send("GET", "/last")
        assert b"connection: close\r\n" in await connection.head()
        assert await connection.reader.read() == b"hello"


@pytest.mark.parametrize("path", ["/torn", "/too-long"])
async def test_an_answer_that_another_could_hide_in_is_not_sent(path: str) -> None:
    async with _connected() as connection:
        connection.send("GET", path)
        sent = await connection.reader.read()
    assert b"x-forged" not in sent
    assert b"hello" not in sent


async def test_an_answer_that_fails_before_its_body_ends_as_an_error() -> None:
    async with _connected() as connection, asyncio.timeout(30):
        connection.send("GET", "/interrupted")
        sent = await connection.reader.read()
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert sent.endswith(b"Internal Server Error")
