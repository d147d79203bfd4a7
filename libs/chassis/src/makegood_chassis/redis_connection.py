"""Redis, as far as signals need it: commands, and messages of one channel, in its protocol RESP2.

The usual client is not used here: it loads 5 MiB into every process, most of it for clusters and commands that nobody sends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

_PATIENCE: Final = 2.0
"""Seconds that a connection or an answer may take."""
_SILENCE: Final = 10.0
"""Seconds without a message after which the server is asked whether it is there."""

Command = Sequence[str | bytes | int | float]


class RedisError(Exception):
    """Redis refused a command, or does not speak its protocol."""


class _Connection:
    """One connection. It is of no more use after an error or a cancelled call."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, parts: SplitResult, ca_file: str) -> Self:
        """Connects and logs in. Raises OSError or RedisError."""
        context = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "rediss" else None
        async with asyncio.timeout(_PATIENCE):
            streams = await asyncio.open_connection(parts.hostname or "localhost", parts.port or 6379, ssl=context)
            connection = cls(*streams)
            try:
                streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                await connection.run(_greeting(parts.username, parts.password, parts.path.strip("/")))
            except BaseException:
                connection.close()
                raise
        return connection

    def close(self) -> None:
        self._writer.close()

    @property
    def lost(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to these commands. Raises RedisError if one is refused."""
        self.send(commands)
        return _accepted([await self.answer() for _ in commands])

    def send(self, commands: Sequence[Command]) -> None:
        self._writer.write(b"".join(map(_encode, commands)))

    async def answer(self) -> Any:
        """The next answer or message: bytes, a number, None, a list of these, or a RedisError. Raises OSError."""
        try:
            line = await self._reader.readuntil(b"\r\n")
            kind, value = line[:1], line[1:-2]
            if kind == b"+":
                return value
            if kind == b"-":
                return RedisError(value.decode(errors="replace"))
            if kind == b":":
                return int(value)
            if kind == b"$":
                return (await self._reader.readexactly(int(value) + 2))[:-2] if value != b"-1" else None
            if kind == b"*":
                return [await self.answer() for _ in range(int(value))] if value != b"-1" else None
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("Redis closed the connection") from error
        except (asyncio.LimitOverrunError, ValueError) as error:
            raise RedisError("the server does not speak Redis' protocol") from error
        raise RedisError("the server does not speak Redis' protocol")


class Redis:
    """A Redis server at `redis://[login:password@]host:port/database`, or `rediss://` for TLS. `ca_file`: a PEM file of the
    authorities to trust, if not the system's. Connects at its first use, and anew after an error. Raises ValueError if the
    address is none."""

    def __init__(self, url: str, ca_file: str = "") -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in ("redis", "rediss") or self._url.port == 0:
            raise ValueError("the address of Redis must begin with redis:// or rediss:// and name a port above 0")
        self._ca_file = ca_file
        self._connection: _Connection | None = None
        self._one_by_one = asyncio.Lock()

    async def run(self, *commands: Command) -> list[Any]:
        """Runs the commands and returns their answers. Raises OSError or RedisError."""
        async with self._one_by_one:
            if self._connection is None or self._connection.lost:
                self.close()
                self._connection = await _Connection.open(self._url, self._ca_file)
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await self._connection.run(commands)
            except BaseException:
                self.close()
                raise

    async def together(self, *commands: Command) -> list[Any]:
        """The same, with no other client's commands in between."""
        return _accepted((await self.run(("MULTI",), *commands, ("EXEC",)))[-1])

    async def messages(self, channel: str) -> AsyncGenerator[bytes | None]:
        """Subscribes to a channel: None once that is done, then its messages. Raises OSError or RedisError."""
        connection = await _Connection.open(self._url, self._ca_file)
        try:
            async with asyncio.timeout(_PATIENCE):
                await connection.run([("SUBSCRIBE", channel)])
            yield None
            async with aclosing(_pushed(connection)) as pushed:
                async for message in pushed:
                    yield message
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


async def _pushed(connection: _Connection) -> AsyncGenerator[bytes]:
    """The messages on a connection that has subscribed. Asks a silent server whether it is there."""
    asked = False
    reading = asyncio.ensure_future(connection.answer())
    try:
        while True:
            done, _ = await asyncio.wait({reading}, timeout=_SILENCE)
            if not done:
                if asked:
                    raise TimeoutError("Redis is silent")
                connection.send([("PING",)])
                asked = True
                continue
            answer, asked = reading.result(), False
            if isinstance(answer, RedisError):
                raise answer
            reading = asyncio.ensure_future(connection.answer())
            if isinstance(answer, list) and len(answer) == 3 and answer[0] == b"message":
                yield answer[2]
    finally:
        reading.cancel()


def _accepted(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
    return answers


def _greeting(login: str | None, password: str | None, database: str) -> list[Command]:
    commands: list[Command] = []
    if password:
        commands.append(("AUTH", *([unquote(login)] if login else []), unquote(password)))
    if database not in ("", "0"):
        commands.append(("SELECT", database))
    return commands


def _encode(command: Command) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
