"""A TCP proxy that makes the server behind it slow, silent, broken or absent, and well again.

It runs in a thread with an event loop of its own, so that tests may block.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, get_args
from urllib.parse import urlsplit

Fault = Literal["slow", "silent", "reset", "gone"]
"""`slow`: answers arrive two seconds late. `silent`: connections are accepted, and no byte passes until the fault ends, as
with a frozen server. `reset`: connections are accepted and reset. `gone`: connections are refused."""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
LATENCY: Final = 2.0
"""Seconds by which answers are late with `slow`."""
_CHUNK: Final = 1 << 16
_LISTEN: Final = "127.0.0.1"
T = TypeVar("T")


class FaultProxy:
    """A context manager. `port` forwards to `forward_to` on the loopback interface. `port=0`: a free one is chosen."""

    def __init__(self, forward_to: int, port: int = 0) -> None:
        self.forward_to = forward_to
        self.port = port
        self.fault: Fault | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()

    @property
    def address(self) -> str:
        return f"{_LISTEN}:{self.port}"

    def before(self, url: str) -> str:
        """The server's address `url` by way of the proxy."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@{self.address}" if login else self.address).geturl()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        self._passes.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, fault: Fault) -> None:
        """The fault begins now, for open connections and new ones."""
        self._do(self._begin(fault))

    def heal(self) -> None:
        """The fault ends now. What was held back with `silent` passes."""
        self._do(self._heal())

    def cut(self) -> None:
        """Resets the open connections, as when a server dies. New ones are served."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, _LISTEN, self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        await self._refuse()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, fault: Fault) -> None:
        self.fault = fault
        if fault == "silent":
            self._passes.clear()
        if fault == "gone":
            await self._refuse()
        if fault in ("reset", "gone"):
            await self._cut()

    async def _heal(self) -> None:
        gone, self.fault = self.fault == "gone", None
        self._passes.set()
        if gone:
            await self._listen()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _cut(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault in ("reset", "gone"):  # or it was accepted just before
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with suppress(OSError):
                await self._passes.wait()
                there, onward = await asyncio.open_connection(_LISTEN, self.forward_to)
                self._open.add(onward)
                try:
                    await asyncio.gather(self._pass(reader, onward, late=False), self._pass(there, writer, late=True))
                finally:
                    self._open.discard(onward)
                    onward.close()
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool) -> None:
        """Passes one direction on, until its end. A client's end passes, too, but not while the server is silent."""
        came: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    data = b""
                came.put_nowait((self._loop.time(), data))

        receiving = asyncio.create_task(receive())
        try:
            while True:
                arrived, data = await came.get()
                await self._passes.wait()
                if late and self.fault == "slow":
                    await asyncio.sleep(arrived + LATENCY - self._loop.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        finally:
            receiving.cancel()
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes the connection with RST."""
    opened = writer.get_extra_info("socket")
    with suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
