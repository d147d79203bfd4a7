"""Client apps follow what happens, live, and miss nothing when they drop (NOTE-4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from makegood_devtools.client import Person
from makegood_testkit.platform import WHO, Cast


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    id: str
    kind: str
    data: dict[str, Any]


class Stream:
    """Reads server-sent events as they come."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""
        self.seen: list[Told] = []

    async def until(self, *kinds: str) -> list[Told]:
        """The events up to the first moment at which one of each kind has come."""
        async with asyncio.timeout(20):
            while not set(kinds) <= {told.kind for told in self.seen}:
                await self._one()
        return self.seen

    async def open(self) -> None:
        """The stream stands: its first id has come."""
        async with asyncio.timeout(20):
            while not self.last_id:
                await self._one()

    async def _one(self) -> None:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                break
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        self.last_id = fields.get("id", self.last_id)
        if fields.get("event", "stream.opened") != "stream.opened":
            self.seen.append(Told(fields["id"], fields["event"], json.loads(fields["data"])))


@asynccontextmanager
async def follow(person: Person, after: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {person.token}"} | ({"Last-Event-ID": after} if after else {})
    async with person.http.stream("GET", "/v1/stream", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer.aiter_lines())
        await stream.open()
        yield stream


@pytest.mark.rule("NOTE-4")
async def test_a_member_follows_their_session_live(cast: Cast) -> None:
    async with follow(cast.member) as stream:
        session = await cast.book()
        seen = await stream.until("session.changed")
        changes = [told.data for told in seen if told.kind == "session.changed"]
        # A booking is told of once it is decided.
        assert [(told["session_id"], told["version"]) for told in changes] == [(session["id"], session["version"])]
        await cast.provider.post(f"/v1/rooms/{cast.room_id}/messages", {"text": f"I am {WHO}."})
        await stream.until("room.message")
        await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
        seen = await stream.until("credits.changed")
    # Ids alone: what was said is read from the room.
    assert WHO not in json.dumps([told.data for told in seen])


@pytest.mark.rule("NOTE-4")
async def test_after_a_drop_the_stream_goes_on_where_it_was(cast: Cast) -> None:
    async with follow(cast.member) as stream:
        session = await cast.book(timedelta(days=4))
        await stream.until("session.changed")
        dropped_at = stream.seen[-1].id
    # Away: things happen all the same.
    await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    await cast.provider.post(f"/v1/rooms/{cast.room_id}/messages", {"text": "See you then."})
    async with follow(cast.member, dropped_at) as again:
        missed = await again.until("session.changed", "room.message")
    assert dropped_at not in [told.id for told in missed]
    async with follow(cast.member, dropped_at) as repeated:
        assert (await repeated.until("session.changed", "room.message"))[: len(missed)] == missed


@pytest.mark.rule("NOTE-4")
async def test_nobody_follows_what_is_not_theirs(cast: Cast) -> None:
    other = await cast.platform.cast()
    async with follow(other.member) as stream:
        await cast.confirmed()
        await other.book()
        seen = await stream.until("session.changed")
    mine = await other.member.get("/v1/sessions")
    sessions = {told.data["session_id"] for told in seen if told.kind == "session.changed"}
    assert sessions == {item["id"] for item in mine["items"]}
