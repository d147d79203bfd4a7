"""SEC-8: one person asks for as much as they can, through the gateway, and everybody else is served as before."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from makegood_devtools.client import Gateway, Person
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.waiting import eventually

from .test_bodies import worked

pytestmark = pytest.mark.rule("SEC-8")

ALL_DAY = [
    {"day": day, "from": "00:00", "to": "24:00"}
    for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
]
SECONDS = 3.0
"""How long an attack lasts."""
PER_SECOND = 50
"""Requests; as many as the gateway lets one person send."""
FINE = 0.05
"""Seconds; an answer that takes no longer than this is as good as any on a machine that does everything else as well."""
ROUNDS = 5


@pytest_asyncio.fixture
async def elsewhere(platform: Platform) -> AsyncIterator[Gateway]:
    """Connections that others do not share."""
    async with Gateway(platform.stack.base_url, platform.home.identity) as gateway:
        yield gateway


class Reader:
    """A client app that holds a stream open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._reading = asyncio.create_task(self._read())
        self.text = ""
        self.ended = False

    async def _read(self) -> None:
        while found := await self._reader.read(4096):
            self.text += found.decode()
            if "\r\n0\r\n" in self.text:
                break
        self.ended = True

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()


async def _open(base_url: str, token: str) -> Reader:
    url = httpx.URL(base_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET /v1/stream HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return Reader(reader, writer)


async def test_streams_of_one_token_leave_others_theirs(platform: Platform, cast: Cast) -> None:
    """As many as the gateway lets through at once. Five are left, the others were told why; somebody else follows."""
    greedy = platform.person("member", f"greedy-{uuid.uuid4()}")
    base = platform.stack.base_url
    opened = [await _open(base, greedy.token) for _ in range(60)]
    try:
        other = await _open(base, cast.member.token)
        opened.append(other)
        await eventually(lambda: "retry: 1000" in other.text and sum(not stream.ended for stream in opened[:-1]) <= 5)
        await cast.confirmed()
        await eventually(lambda: "event: session.changed" in other.text)
        closed = [stream for stream in opened[:-1] if stream.ended]
        assert len(closed) == 55
        assert all("HTTP/1.1 200" in stream.text for stream in opened)
        assert all(
            'event: stream.closed\nretry: 60000\ndata: {"reason":"too-many-streams"}' in one.text for one in closed
        )
        assert not any("stream.closed" in stream.text for stream in opened if not stream.ended)
    finally:
        for stream in opened:
            await stream.close()


class Attack:
    """One person's requests, PER_SECOND of them whatever becomes of them."""

    def __init__(self, person: Person, path: str, params: dict[str, Any]) -> None:
        self._person = person
        self._ask: Callable[[], Any] = lambda: person.send("GET", path, params=params)
        self.statuses: list[int] = []
        self.without_advice = 0

    async def _once(self) -> None:
        answer = await self._ask()
        self.statuses.append(answer.status_code)
        if answer.status_code in (429, 503) and "retry-after" not in answer.headers:
            self.without_advice += 1

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async def all_of_it() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(self._once())
                    await asyncio.sleep(1 / PER_SECOND)

        going = asyncio.create_task(all_of_it())
        yield
        assert not going.done()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


async def _latency(ask: Callable[[], Any]) -> float:
    """The 99th percentile of somebody's answers over SECONDS."""
    taken: list[float] = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or len(taken) < 2:
        begun = time.perf_counter()
        assert (await ask()).status_code == 200
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.02)
    return statistics.quantiles(taken, n=100)[98]


async def _busy_provider(platform: Platform, *, gap: timedelta) -> str:
    """A provider whose slots begin every five minutes, day and night, and who has time off for a year, but for a gap a week."""
    provider = platform.person("provider", f"full-{uuid.uuid4()}")
    now = await platform.now()
    types = [{"length_minutes": length, "modalities": ["video"]} for length in (30, 45)]
    schedule = {"time_zone": "UTC", "weekly": ALL_DAY, "slot_step_minutes": 5, "session_types": types}
    await provider.put(f"/v1/providers/{provider.subject}/schedule", schedule)
    for week in range(53):
        begins = now + timedelta(days=7 * week)
        off = {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(days=7) - gap).isoformat()}
        await provider.post(f"/v1/providers/{provider.subject}/time-off", off)
    return provider.subject


async def test_searching_as_much_as_one_can_slows_nobody_else(
    platform: Platform, cast: Cast, elsewhere: Gateway
) -> None:
    provider = await _busy_provider(platform, gap=timedelta(hours=1))
    greedy = elsewhere.person("member", f"greedy-{uuid.uuid4()}")
    now = await platform.now()
    usual = {
        "from": now.isoformat(), "to": (now + timedelta(days=7)).isoformat(), "length_minutes": 30, "modality": "video"
    }  # fmt: skip
    until = now + timedelta(days=61)
    search = {**usual, "to": until.isoformat(), "length_minutes": 45, "limit": 200}
    attack = Attack(greedy, f"/v1/providers/{provider}/slots", search)
    seen: list[tuple[float, float]] = []
    pid = platform.pid("availability")

    async def search_usually() -> Any:
        return await cast.member.send("GET", f"/v1/providers/{cast.provider.subject}/slots", params=usual)

    for _ in range(ROUNDS):
        quiet = await _latency(search_usually)
        before = worked(pid)
        async with attack.going_on():
            attacked = await _latency(search_usually)
        assert worked(pid) - before < 0.75 * SECONDS  # processor time, which no other process adds to
        seen.append((quiet, attacked))
        if attacked <= 2 * max(quiet, FINE):
            break
    assert any(attacked <= 2 * max(quiet, FINE) for quiet, attacked in seen), seen
    assert set(attack.statuses) <= {200, 429, 503}
    assert attack.without_advice == 0


async def test_whatever_is_expensive_slows_nobody_else(platform: Platform, cast: Cast, elsewhere: Gateway) -> None:
    """Bookability, which searches as well, and everything that is held about a person."""
    provider = await _busy_provider(platform, gap=timedelta())
    greedy = elsewhere.person("member", f"greedy-{uuid.uuid4()}")
    support = platform.person("support", f"support-{uuid.uuid4()}")
    starts_on = (await platform.now()).date().isoformat()
    await support.put(f"/v1/members/{greedy.subject}/enrolment", {"plan_id": "out-of-pocket-4", "starts_on": starts_on})
    room = await support.post("/v1/rooms", {"member_id": greedy.subject, "provider_id": provider})
    attacks = [
        Attack(greedy, f"/v1/rooms/{room['id']}/bookability", {}),
        Attack(greedy, f"/v1/people/{greedy.subject}/export", {}),
        Attack(greedy, "/v1/sessions", {"limit": 200}),
    ]
    others = [
        lambda: cast.member.send("GET", f"/v1/rooms/{cast.room_id}/bookability"),
        lambda: cast.member.send("GET", f"/v1/rooms/{cast.room_id}/messages"),
        lambda: cast.member.send("GET", "/v1/sessions"),
    ]
    await platform.settle()
    for attack, other in zip(attacks, others, strict=True):
        seen: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            quiet = await _latency(other)
            async with attack.going_on():
                seen.append((quiet, await _latency(other)))
            if seen[-1][1] <= 2 * max(quiet, FINE):
                break
        assert any(attacked <= 2 * max(quiet, FINE) for quiet, attacked in seen), seen
        assert set(attack.statuses) <= {200, 429, 503}
        assert attack.without_advice == 0
