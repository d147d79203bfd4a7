"""The connection to Redis on a real server: answers, refusals, messages, and servers that go or are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from makegood_chassis import redis_connection
from makegood_chassis.redis_connection import Redis, RedisError
from makegood_contracts.ids import new_id


async def test_commands_are_answered_in_order(redis_url: str) -> None:
    redis, key = Redis(redis_url), f"makegood:{new_id()}"
    try:
        assert await redis.run(("ZADD", key, 1.5, "é", 2, b"\r\n"), ("ZRANGE", key, 0, -1)) == [
            2,
            ["é".encode(), b"\r\n"],
        ]
        assert await redis.together(("ZREM", key, "é"), ("ZRANGE", key, 0, -1)) == [1, [b"\r\n"]]
    finally:
        redis.close()


async def test_a_refused_command_spoils_nothing(redis_url: str) -> None:
    redis = Redis(redis_url)
    try:
        with pytest.raises(RedisError, match="NOPERM"):
            await redis.run(("ZCARD", "makegood:x"), ("ZCARD", "another:x"))
        with pytest.raises(RedisError):
            await redis.together(("EXPIRE", "makegood:x", "soon"))
        assert await redis.run(("ZCARD", "makegood:x")) == [0]
    finally:
        redis.close()


async def test_a_channel_is_heard_from_the_moment_that_it_says_so(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "_SILENCE", 0.1)  # so that it asks in between whether the server is there
    redis, channel = Redis(redis_url), f"makegood:{new_id()}"
    try:
        async with aclosing(redis.messages(channel)) as messages, asyncio.timeout(10):
            assert await anext(messages) is None
            following = asyncio.ensure_future(anext(messages))
            await asyncio.wait({following}, timeout=0.35)
            assert await redis.run(("PUBLISH", channel, b"\x00\r\n")) == [1]
            assert await following == b"\x00\r\n"
    finally:
        redis.close()


async def test_it_connects_anew_after_the_server_was_away(own_servers: Any) -> None:
    server = own_servers.redis()
    redis = Redis(server.url)
    try:
        assert await redis.run(("PING",)) == [b"PONG"]
        await asyncio.to_thread(server.kill)
        with pytest.raises(OSError, match=r".*"):
            await redis.run(("PING",))
        await asyncio.to_thread(server.start)
        assert await redis.run(("PING",)) == [b"PONG"]
    finally:
        redis.close()


@pytest.mark.parametrize(
    ("says", "error"), [(b"HTTP/1.1 400 Bad Request\r\n", RedisError), (b"", OSError), (None, OSError)]
)
async def test_what_is_no_redis_is_an_error(
    says: bytes | None, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "_PATIENCE", 0.5)
    async with listening(says) as port:
        redis = Redis(f"redis://:secret@127.0.0.1:{port}/0")
        with pytest.raises(error):
            await redis.run(("PING",))


@asynccontextmanager
async def listening(says: bytes | None) -> AsyncIterator[int]:
    """A server that says this to everybody and hangs up; None: it keeps silent."""
    over = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if says is None:
            await over.wait()
        else:
            writer.write(says)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://localhost:0"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the address of Redis"):
        Redis(url)
