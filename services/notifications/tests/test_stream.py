"""The live stream, over a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from makegood_contracts import events as facts

from .conftest import World


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    assert world.service.app is not None
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = world.service.app(world.service)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    world.service.signals.end_waits()
    server.should_exit = True
    await task


class Follower:
    """A client app's reader."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    async def take(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The next events (name, data)."""
        found: list[tuple[str, dict[str, Any]]] = []
        name = ""
        async with asyncio.timeout(10):
            async for line in self._lines:
                field, _, value = line.partition(": ")
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    name = value
                elif field == "data":
                    found.append((name, json.loads(value)))
                if not line and len(found) == count and (found or self.last_id):
                    return found
        raise AssertionError("the stream ended")


@asynccontextmanager
async def following(
    world: World, base: str, subject: str, role: str, last_id: str | None = None
) -> AsyncIterator[Follower]:
    headers = world.identity.bearer(subject, role) | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Follower(answer.aiter_lines())


@pytest.mark.rule("NOTE-4")
async def test_both_parties_follow_live_and_resume_after_a_drop(world: World) -> None:
    await world.reserved()
    async with served(world) as base:
        async with following(world, base, world.member, "member") as follower:
            assert await follower.take(0) == []  # the opening, from here on nothing is missed
            await world.happen(world.session(facts.SessionConfirmed, confirmed_by="provider"))
            (_, message), (kind, session) = sorted(await follower.take(2), key=lambda event: event[0])
            assert kind == "session.changed"
            assert session == {"session_id": world.session_id, "room_id": world.room_id, "version": 2}
            assert message["room_id"] == world.room_id
            dropped_at = follower.last_id
        await world.happen(world.missed(), world.returned())
        async with following(world, base, world.member, "member", dropped_at) as follower:
            names = [name for name, _ in await follower.take(4)]
            assert sorted(names) == ["credits.changed", "room.message", "room.message", "session.changed"]
        async with following(world, base, world.provider, "provider", dropped_at) as follower:
            names = [name for name, _ in await follower.take(3)]
            assert sorted(names) == ["room.message", "room.message", "session.changed"]  # credits are the member's


@pytest.mark.rule("NOTE-4")
async def test_an_entry_of_a_slow_transaction_is_not_skipped(world: World) -> None:
    """The slow one wrote first and commits last; a cursor on the row's number alone would have passed it."""
    from makegood_notifications.store import stream

    await world.reserved()
    database = world.service.database
    async with database.reading() as queries:
        start = await stream.end(queries)
    slow = world.received(world.session(facts.SessionJoined, party="member", joined_at=world.clock.now()))
    fast = world.received(world.session(facts.SessionJoined, party="provider", joined_at=world.clock.now()))
    async with database.transaction(slow.cause) as unit:
        await world.service.events[facts.SessionJoined]([slow], unit)
        await world.arrive([fast])
        async with database.reading() as queries:
            early = await stream.entries(queries, world.member, start, 10)
    after = early[-1].position if early else start
    async with database.reading() as queries:
        late = await stream.entries(queries, world.member, after, 10)
    assert sorted(entry.data["version"] for entry in [*early, *late]) == [2, 3]


@pytest.mark.parametrize("last_id", ["x", "1", "1-x", "-1-2", "9" * 30 + "-1"])
async def test_an_id_that_is_none_of_ours_is_refused(world: World, last_id: str) -> None:
    async with world.client(world.member) as client:
        assert (await client.get("/v1/stream", headers={"Last-Event-ID": last_id})).status_code == 422
