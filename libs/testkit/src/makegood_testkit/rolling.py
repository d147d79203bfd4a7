"""Rolling restarts under load (REL-8): no request through the gateway may fail, and no stream may miss anything."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from makegood_chassis import metrics
from makegood_devtools.client import Person
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population, populate
from makegood_stack.ports import LISTEN, SERVICES
from makegood_stack.processes import Supervisor

from makegood_testkit.platform import Platform

WAIT: Final = 10
"""Seconds of `Prefer: wait`."""
_DUPLICATES: Final = f"{next(iter(metrics.INBOX_DUPLICATES.describe())).name}_total"
_BATCHES: Final = f"{next(iter(metrics.CONSUMER_BATCH.describe())).name}_bucket"


@dataclass
class Findings:
    """What the clients got and what the restarts cost."""

    answers: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """Requests that a client would call failed."""
    undecided: int = 0
    """Bookings whose outcome did not come while the request waited (202), which is a documented answer."""
    streams: int = 0
    """Streams that were opened."""
    missed: list[str] = field(default_factory=list)
    """What a stream did not show, or showed twice."""
    restarts: Counter[str] = field(default_factory=Counter)
    slowest_stop: float = 0.0
    """Seconds."""
    killed: list[str] = field(default_factory=list)
    """Processes that had to be killed, because they did not stop in time."""
    redelivered: dict[str, int] = field(default_factory=dict)
    """Events that a service was given twice, in all restarts together."""
    largest_batch: int = 0
    """Most events of one poll, at least (the bucket of the metric)."""


class RollingLoad:
    """Clients that book, read, confirm, cancel, write and follow their stream, until they are stopped. Nobody repeats a request:
    what fails, fails."""

    def __init__(self, platform: Platform, population: Population) -> None:
        self._platform = platform
        self._population = population
        self._stop = asyncio.Event()
        self.findings = Findings()

    @classmethod
    async def prepare(cls, platform: Platform, *, members: int = 12, providers: int = 4) -> RollingLoad:
        now = await platform.now()
        gateway = platform.gateway
        people = await populate(gateway, now, members=members, providers=providers, credits=2_000, mailboxes=True)
        return cls(platform, people)

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Returns after `stop()`, when every client has its last answer and every stream has caught up."""
        async with asyncio.TaskGroup() as group:
            for number, member in enumerate(self._population.members):
                group.create_task(self._client(member, followed=number % 4 == 0))

    async def _client(self, load_member: LoadMember, *, followed: bool) -> None:
        member = Person(self._platform.gateway.http, load_member.login)
        provider = self._platform.person("provider", load_member.provider_id)
        changes: set[str] = set()
        stream = _Stream(member, self.findings) if followed else None
        following = asyncio.create_task(stream.follow()) if stream else None
        if stream is not None:
            await stream.opened.wait()
        for turn in itertools.count():
            if self._stop.is_set():
                break
            session = await self._book(member, load_member, turn)
            if session is not None:
                changes.add(session)
                await self._around(member, provider, load_member, session)
            await asyncio.sleep(0.05 * random.random())
        if stream is not None and following is not None:
            await stream.caught_up(changes)
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def _book(self, member: Person, load_member: LoadMember, turn: int) -> str | None:
        body = {
            "room_id": load_member.room_id,
            "starts_at": load_member.slot(turn, self._population.first_day).isoformat(),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "time_zone": "UTC",
        }
        answer = await self._send(member, "POST", "/v1/sessions", body, key=str(uuid.uuid4()), wait=WAIT)
        if answer is None or answer.is_error:
            return None
        self.findings.undecided += answer.status_code == 202
        return str(answer.json()["id"]) if answer.status_code == 201 else None

    async def _around(self, member: Person, provider: Person, load_member: LoadMember, session: str) -> None:
        """One request of each kind to each service. Those without a key are changes that nobody may repeat for the client."""
        subject, path = member.subject, f"/v1/sessions/{session}"
        contact = {"name": subject, "email": f"{subject}@example.com", "time_zone": "UTC"}
        await self._send(member, "GET", path)
        await self._send(provider, "POST", f"{path}/confirm", {}, key=str(uuid.uuid4()))
        await self._send(member, "GET", f"/v1/members/{subject}/credits")
        await self._send(member, "PUT", f"/v1/people/{subject}/contact", contact)
        await self._send(
            provider, "POST", f"/v1/rooms/{load_member.room_id}/messages", {"text": "see you"}, key=session
        )
        await self._send(provider, "GET", f"/v1/providers/{load_member.provider_id}/schedule")
        await self._send(member, "POST", f"{path}/cancel", {"accept_forfeit": True}, key=str(uuid.uuid4()))

    async def _send(
        self, person: Person, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx.Response | None:
        try:
            answer = await person.send(method, path, body, **options)
        except httpx.TransportError as error:
            self.findings.failed.append(f"{method} {path}: {type(error).__name__} {error}")
            return None
        self.findings.answers[answer.status_code] += 1
        if answer.is_error:
            self.findings.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer


class _Stream:
    """Follows a person's stream, and continues it with `Last-Event-ID` whenever it ends."""

    def __init__(self, person: Person, findings: Findings) -> None:
        self._person = person
        self._findings = findings
        self._last_id = ""
        self._ids: set[str] = set()
        self._sessions: set[str] = set()
        self.opened = asyncio.Event()
        self._told = asyncio.Event()

    async def follow(self) -> None:
        while True:
            headers = {"Authorization": f"Bearer {self._person.token}"}
            if self._last_id:
                headers["Last-Event-ID"] = self._last_id
            try:
                async with self._person.http.stream("GET", "/v1/stream", headers=headers) as answer:
                    self._findings.streams += 1
                    if answer.status_code != 200:
                        await answer.aread()
                        self._findings.failed.append(f"GET /v1/stream: {answer.status_code} {answer.text[:300]}")
                        await asyncio.sleep(0.2)
                        continue
                    await self._read(answer)
            except httpx.TransportError:
                continue  # a stream that ends in the middle is continued, as EventSource does

    async def _read(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
                continue
            self._note(fields)
            fields = {}

    def _note(self, fields: dict[str, str]) -> None:
        event_id = fields.get("id", "")
        kind = fields.get("event", "")
        if kind not in ("", "stream.opened"):
            if event_id in self._ids:
                self._findings.missed.append(f"{self._person.subject} was told {event_id} twice")
            self._ids.add(event_id)
        if kind == "session.changed":
            self._sessions.add(str(json.loads(fields["data"])["session_id"]))
        self._last_id = event_id or self._last_id
        self.opened.set()
        self._told.set()

    async def caught_up(self, sessions: set[str], *, seconds: float = 20) -> None:
        """Waits until the stream has told of these sessions. Notes which are missing after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not sessions <= self._sessions:
                    self._told.clear()
                    await self._told.wait()
        self._findings.missed += [
            f"{self._person.subject} was not told of {one}" for one in sorted(sessions - self._sessions)
        ]


class Redeliveries:
    """Counts the events that consumers were given twice, from the metrics of processes that come and go."""

    def __init__(self, platform: Platform) -> None:
        self._supervisor = Supervisor(platform.home)
        self._seen: dict[tuple[str, int], int] = {}
        self.largest_batch = 0

    async def look(self) -> None:
        """Reads the metrics of every process. Call it just before one stops."""
        running = [one for one in self._supervisor.running().values() if one.name.split("-")[0] in SERVICES]
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            for record in running:
                port = list(record.ports.values())[-1]
                with suppress(httpx.TransportError):
                    self._note(record.name, record.pid, (await http.get(f"http://{LISTEN}:{port}/metrics")).text)

    def _note(self, name: str, pid: int, text: str) -> None:
        for line in text.splitlines():
            if line.startswith(_DUPLICATES):
                self._seen[name.split("-")[0], pid] = int(float(line.split()[-1]))
        self.largest_batch = max(self.largest_batch, _largest(text))

    def by_service(self) -> dict[str, int]:
        totals: Counter[str] = Counter()
        for (service, _), count in self._seen.items():
            totals[service] += count
        return dict(totals)


def _largest(text: str) -> int:
    """The upper bound of the highest bucket in which a poll fell."""
    largest, below = 0, 0.0
    for line in text.splitlines():
        if line.startswith(_BATCHES):
            count = float(line.split()[-1])
            bound = line.partition('le="')[2].partition('"')[0]
            if count > below and bound != "+Inf":
                largest = int(float(bound))
            below = count
    return largest


def one_after_the_other(platform: Platform, times: int) -> Iterator[str]:
    """The names of processes, so that each service is restarted so many times, each time another of its processes."""
    names = {service: [process.numbered for process in platform.stack.processes(service)] for service in SERVICES}
    for number in range(times):
        for service in SERVICES:
            yield names[service][number % len(names[service])]


async def restart_under_load(
    platform: Platform,
    names: Iterable[str],
    *,
    members: int = 12,
    told: Callable[[str], Awaitable[None]] | None = None,
) -> Findings:
    """Restarts these processes, one after the other, while clients use the platform, and returns what was found."""
    load = await RollingLoad.prepare(platform, members=members)
    redeliveries, findings = Redeliveries(platform), load.findings
    running = asyncio.create_task(load.run())
    try:
        for name in names:
            await redeliveries.look()
            for done in await asyncio.to_thread(platform.restart, name):
                findings.restarts[done.name] += 1
                findings.slowest_stop = max(findings.slowest_stop, done.stopping)
                findings.killed += [done.name] if done.killed else []
            if told is not None:
                await told(name)
            if running.done():
                break
    finally:
        load.stop()
        await running
    await redeliveries.look()
    findings.redelivered, findings.largest_batch = redeliveries.by_service(), redeliveries.largest_batch
    return findings


def wrong(findings: Findings, *, bookings: int) -> list[str]:
    """What breaks REL-8. `bookings`: how many requests must have been answered at least, so that it means something."""
    found = [*findings.failed, *findings.missed, *(f"{name} was killed" for name in findings.killed)]
    if findings.slowest_stop > 15:
        found.append(f"a process took {findings.slowest_stop:.1f} s to stop")
    if findings.answers[201] < bookings:
        found.append(f"only {findings.answers[201]} bookings")
    restarts = Counter(name.split("-")[0] for name in findings.restarts.elements())
    for service, count in findings.redelivered.items():
        if count > restarts[service] * max(1, findings.largest_batch):
            found.append(f"{service} was given {count} events again in {restarts[service]} restarts")
    return found
