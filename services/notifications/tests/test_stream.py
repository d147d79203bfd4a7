"""The live stream, over a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from makegood_chassis.pruning import prune
from makegood_contracts import events as facts
from makegood_notifications.api import stream as api_stream
from makegood_notifications.api.stream_models import StreamEvent
from makegood_testkit.databases import as_owner
from makegood_testkit.service import received

from .conftest import NotificationsHarness


@asynccontextmanager
async def served(harness: NotificationsHarness) -> AsyncIterator[str]:
    assert harness.service.app is not None
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = harness.service.app(harness.service)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    harness.service.signals.end_waits()
    server.should_exit = True
    await task


class Follower:
    """A client app's reader."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""
        self.resumed: bool | None = None

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
                elif field == "data" and name == "stream.opened":
                    self.resumed = json.loads(value)["resumed"]
                elif field == "data":
                    found.append((name, json.loads(value)))
                    StreamEvent.model_validate({"event": name, "data": found[-1][1]})  # as the API's document says
                if not line and len(found) == count and (found or self.last_id):
                    return found
        raise AssertionError("the stream ended")


@asynccontextmanager
async def following(
    harness: NotificationsHarness, base: str, subject: str, role: str, last_id: str | None = None
) -> AsyncIterator[Follower]:
    headers = harness.identity.bearer(subject, role) | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Follower(answer.aiter_lines())


@pytest.mark.rule("NOTE-4")
async def test_both_parties_follow_live_and_resume_after_a_drop(harness: NotificationsHarness) -> None:
    await harness.reserved()
    async with served(harness) as base:
        async with following(harness, base, harness.member, "member") as follower:
            assert await follower.take(0) == []  # the opening, from here on nothing is missed
            await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
            (_, message), (kind, session) = sorted(await follower.take(2), key=lambda event: event[0])
            assert kind == "session.changed"
            assert session == {"session_id": harness.session_id, "room_id": harness.room_id, "version": 2}
            assert message["room_id"] == harness.room_id
            dropped_at = follower.last_id
        await harness.happen(harness.missed(), harness.returned())
        async with following(harness, base, harness.member, "member", dropped_at) as follower:
            names = [name for name, _ in await follower.take(4)]
            assert sorted(names) == ["credits.changed", "room.message", "room.message", "session.changed"]
        async with following(harness, base, harness.provider, "provider", dropped_at) as follower:
            names = [name for name, _ in await follower.take(3)]
            assert sorted(names) == ["room.message", "room.message", "session.changed"]  # credits are the member's


@pytest.mark.rule("NOTE-4")
async def test_an_entry_of_a_slow_transaction_is_not_skipped(harness: NotificationsHarness) -> None:
    """The slow one wrote first and commits last; a cursor on the row's number alone would have passed it."""
    from makegood_notifications.store import stream

    await harness.reserved()
    database = harness.database
    async with database.reading() as queries:
        start = await stream.end(queries)
    slow = received(harness.session(facts.SessionJoined, party="member", joined_at=harness.clock.now()))
    fast = received(harness.session(facts.SessionJoined, party="provider", joined_at=harness.clock.now()))
    async with database.transaction(slow.cause) as unit:
        await harness.service.events[facts.SessionJoined]([slow], unit)
        await harness.handle(fast)
        async with database.reading() as queries:
            early = await stream.entries(queries, harness.member, start, 10)
    after = early[-1].position if early else start
    async with database.reading() as queries:
        late = await stream.entries(queries, harness.member, after, 10)
    assert sorted(entry.data["version"] for entry in [*early, *late]) == [2, 3]


@pytest.mark.parametrize("last_id", ["x", "1", "1-x", "-1-2", "9" * 30 + "-1", "long" * 100])
async def test_an_id_that_is_none_of_ours_begins_anew_and_says_so(harness: NotificationsHarness, last_id: str) -> None:
    """A refusal would stop a browser's EventSource for good."""
    await harness.reserved()
    async with served(harness) as base:
        async with following(harness, base, harness.member, "member", last_id) as follower:
            assert await follower.take(0) == []
            assert follower.resumed is False
            await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
            assert len(await follower.take(2)) == 2
        async with following(harness, base, harness.member, "member", follower.last_id) as again:
            assert await again.take(0) == []
            assert again.resumed is True


async def test_no_block_of_a_stream_is_an_event_without_data(harness: NotificationsHarness) -> None:
    """Readers that hand on every block with a field would hand on nothing, which is no JSON."""
    headers = harness.identity.bearer(harness.member, "member")
    await harness.reserved()
    async with (
        served(harness) as base,
        httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
        seen: list[list[str]] = [[]]
        async with asyncio.timeout(10):
            async for line in answer.aiter_lines():
                if line and not line.startswith(":"):
                    seen[-1].append(line.partition(":")[0])
                elif seen[-1]:
                    if len(seen) == 3:
                        break
                    seen.append([])
    assert seen == [["retry", "id", "event", "data"], ["id", "event", "data"], ["id", "event", "data"]]


@pytest.mark.rule("NOTE-4")
async def test_more_than_a_day_is_replayed_in_order_and_what_is_older_than_two_is_forgotten(
    harness: NotificationsHarness,
) -> None:
    from makegood_notifications.store import stream

    await harness.reserved()
    async with harness.database.reading() as queries:
        start = await stream.end(queries)
    for _ in range(4):
        await harness.happen(harness.session(facts.SessionJoined, party="member", joined_at=harness.clock.now()))
    async with harness.database.reading() as queries:
        forgotten, *kept = await stream.entries(queries, harness.member, start, 10)
    assert [entry.data["version"] for entry in kept] == [3, 4, 5]
    ages = {2: "49 hours", 3: "25 hours", 4: "24 hours"}
    async with as_owner(harness.database.url) as owner:
        for version, age in ages.items():
            await owner.execute(
                "UPDATE stream SET made_at = clock_timestamp() - $1::text::interval WHERE (data->>'version')::int = $2",
                age,
                version,
            )
    await harness.service.pruner.open()
    await prune(harness.service.pruner, *stream.RETENTION)
    assert (await harness.rows("SELECT count(*) FROM stream WHERE (data->>'version')::int = 2")) == [(0,)]
    await harness.service.pruner.close()
    async with (
        served(harness) as base,
        following(harness, base, harness.member, "member", forgotten.position.text) as first,
        following(harness, base, harness.member, "member", forgotten.position.text) as second,
        following(harness, base, harness.member, "member", start.text) as late,
    ):
        for follower in (first, second):  # two devices of one person, each from where it was
            assert [data["version"] for _, data in await follower.take(3)] == [3, 4, 5]
            assert follower.resumed is True
        assert await late.take(0) == []
        assert late.resumed is False, "what followed is forgotten, so it reads anew"
        await harness.happen(harness.session(facts.SessionLeft, party="member", left_at=harness.clock.now()))
        for follower in (first, late):
            assert [data["version"] for _, data in await follower.take(1)] == [6]


@pytest.mark.rule("NOTE-4")
async def test_what_is_forgotten_of_others_breaks_off_nobodys_stream(harness: NotificationsHarness) -> None:
    from makegood_notifications.store import stream

    async with harness.database.reading() as queries:
        start = await stream.end(queries)
    await harness.reserved()
    async with as_owner(harness.database.url) as owner:
        await owner.execute("UPDATE stream SET made_at = clock_timestamp() - interval '49 hours'")
    await harness.service.pruner.open()
    await prune(harness.service.pruner, *stream.RETENTION)
    assert (await harness.rows("SELECT count(*) FROM stream")) == [(0,)]
    await harness.service.pruner.close()
    async with (
        served(harness) as base,
        following(harness, base, "member-zoe", "member", start.text) as quiet,
        following(harness, base, harness.member, "member", start.text) as member,
        following(harness, base, harness.provider, "provider", start.text) as provider,
    ):
        for follower, resumed in ((quiet, True), (member, False), (provider, False)):
            assert await follower.take(0) == []
            assert follower.resumed is resumed


@pytest.mark.rule("NOTE-4")
async def test_what_is_forgotten_before_a_client_app_has_caught_up_ends_its_stream(
    harness: NotificationsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back with its last id, and is told that it is not followed."""
    from makegood_notifications.store import stream

    await harness.reserved()
    async with harness.database.reading() as queries:
        start = await stream.end(queries)
    for _ in range(3):
        await harness.happen(harness.session(facts.SessionJoined, party="member", joined_at=harness.clock.now()))
    entries = stream.entries

    async def slowly(queries: Any, person_id: str, after: Any, limit: int) -> Any:
        """While the first is read, the second is forgotten."""
        found = await entries(queries, person_id, after, limit)
        if after == start:
            async with as_owner(harness.database.url) as owner:
                await owner.execute(
                    "WITH gone AS (DELETE FROM stream WHERE (data->>'version')::int = 3 RETURNING member_id, txid, position)"
                    " INSERT INTO stream_forgotten (person_id, txid, position) SELECT * FROM gone"
                )
        return found

    monkeypatch.setattr(stream, "entries", slowly)
    async with served(harness) as base:
        async with following(harness, base, harness.member, "member", start.text) as follower:
            with pytest.raises(AssertionError, match="the stream ended"):
                await follower.take(3)
            assert follower.resumed is True
        monkeypatch.setattr(stream, "entries", entries)
        async with following(harness, base, harness.member, "member", follower.last_id) as again:
            assert await again.take(0) == []
            assert again.resumed is False


@pytest.mark.rule("NOTE-4")
async def test_a_stream_begins_with_an_id_to_come_back_with_even_if_nothing_happens(
    harness: NotificationsHarness,
) -> None:
    await harness.reserved()
    async with served(harness) as base:
        async with following(harness, base, harness.member, "member") as follower:
            assert await follower.take(0) == []
        assert follower.last_id
        await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
        async with following(harness, base, harness.member, "member", follower.last_id) as again:
            assert {name for name, _ in await again.take(2)} == {"session.changed", "room.message"}


@pytest.mark.rule("NOTE-4")
async def test_an_id_from_beyond_the_end_is_the_end(harness: NotificationsHarness) -> None:
    """As after a restore: it would be waited for in vain."""
    await harness.reserved()
    async with served(harness) as base, following(harness, base, harness.member, "member", f"{2**62}-7") as follower:
        assert await follower.take(0) == []
        await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
        assert len(await follower.take(2)) == 2


@pytest.mark.rule("NOTE-4", "SEC-2")
async def test_a_stream_ends_with_its_token(harness: NotificationsHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may no longer ask hears no more."""
    headers = harness.identity.bearer(harness.member, "member")
    async with (
        served(harness) as base,
        httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/stream") as answer,
    ):
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        now = time.time()
        monkeypatch.setattr(api_stream, "real_time", SimpleNamespace(now=lambda: now + 3600))
        async with asyncio.timeout(10):
            rest = [line async for line in lines]
        assert len([line for line in rest if line.startswith("data")]) == 1, "the opening alone"
