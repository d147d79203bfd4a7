"""One service on a real PostgreSQL, driven as by the chassis, without Kafka or processes.

A service's tests make their harness with the fixture `make_harness`, and add what they need in a subclass:

    class BookingHarness(ServiceHarness[Dependencies]):
        async def room(self, member: str) -> str: ...

    @pytest_asyncio.fixture
    async def harness(make_harness: MakeHarness) -> BookingHarness:
        return await make_harness("booking", bootstrap, BookingSettings, NOW, BookingHarness)
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import asyncpg
import httpx
from fastapi import FastAPI
from makegood_chassis.clock import FixedClock
from makegood_chassis.database import Row
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.messaging.refusals import RefusalReason
from makegood_chassis.service import Service
from makegood_chassis.settings import ServiceSettings
from makegood_contracts.envelope import Cause, Received, decode, encode
from makegood_contracts.events import Event

from makegood_testkit.identity import Identity
from makegood_testkit.moments import possible_at
from makegood_testkit.waiting import eventually

D = TypeVar("D")
E = TypeVar("E", bound=Event)
H = TypeVar("H", bound="ServiceHarness[Any]")

CAUSE = Cause("story", "test")


class ServiceHarness(Generic[D]):
    """The service, its database, its clock, which stands still until a test moves it, and people with tokens."""

    def __init__(self, service: Service[D], identity: Identity) -> None:
        self.service = service
        self.identity = identity
        self.database = service.database
        self.clock = cast("FixedClock", service.clock)
        self.dependencies = service.dependencies
        self.history: list[Received[Any]] = []
        """Everything that was taken from the outbox."""
        self._clients: dict[tuple[str, str], httpx.AsyncClient] = {}

    # Events and time

    async def handle(self, *events: Event | Received[Any]) -> dict[str, RefusalReason]:
        """Hands the events, all of one type, to their handler as one batch, at a moment at which they are possible.
        Afterwards the clock has its earlier time. Returns which keys were refused, and why.
        """
        batch = [received(event) for event in events]
        before = self.clock.moment
        self.clock.moment = await self.moment_of([one.event for one in batch])
        try:
            return await self.handle_now(*batch)
        finally:
            self.clock.moment = before

    async def handle_now(self, *events: Event | Received[Any]) -> dict[str, RefusalReason]:
        """As `handle`, whatever the clock says."""
        batch = [received(event) for event in events]
        async with self.database.transaction(batch[0].cause) as unit:
            await self.service.events[type(batch[0].event)](batch, unit)
        return {one.key: unit.refused[one.id] for one in batch if one.id in unit.refused}

    async def moment_of(self, events: Sequence[Event]) -> datetime:
        """When the events are possible, from now on. Override it if this depends on more than the events themselves."""
        return possible_at(events, self.clock.moment)

    async def advance(self, to: datetime) -> list[Event]:
        """Moves the clock and handles what is due. Returns the events that this published."""
        self.clock.moment = to
        await self.records()
        await self.handle_due()
        return await self.outbox()

    async def handle_due(self) -> list[str]:
        """Handles everything due, including what becomes due by that, as the deadline worker does. Returns the kinds in
        order.
        """
        kinds: list[str] = []
        while True:
            # The worker gives way to a transaction that locked an entity first and its deadline last.
            try:
                taken = await self._handle_due()
            except asyncpg.LockNotAvailableError:
                continue
            if not taken:
                return kinds
            kinds += taken

    async def _handle_due(self) -> list[str]:
        async with self.database.transaction(CAUSE) as unit:
            await unit.execute("SET LOCAL lock_timeout = '250ms'")
            rows = await unit.fetch(
                "DELETE FROM deadlines WHERE due_at <= $1 RETURNING kind, entity_id, due_at", unit.now
            )
            by_kind: defaultdict[str, list[Due]] = defaultdict(list)
            rows.sort(key=lambda row: row["due_at"])
            for kind, entity_id, due_at in rows:
                by_kind[kind].append(Due(entity_id, due_at))
            for kind, due in by_kind.items():
                await self.service.deadlines[kind](due, unit)
        return [row["kind"] for row in rows]

    # What it published

    async def outbox(self) -> list[Event]:
        """The events that were published since the last call, in order."""
        return [record.event for record in await self.records()]

    async def records(self) -> list[Received[Any]]:
        """As `outbox`, with the events' attributes."""
        async with self.database.connections.loan() as connection:
            rows = await connection.fetch(
                "WITH sent AS (DELETE FROM outbox RETURNING *) SELECT key, headers, payload FROM sent ORDER BY id"
            )
        found = [_decoded(row) for row in rows]
        self.history += found
        return found

    async def published(self, kind: type[E]) -> list[E]:
        """All events of one type that were published so far, in order."""
        waiting = [_decoded(row) for row in await self.rows("SELECT key, headers, payload FROM outbox ORDER BY id")]
        return [one.event for one in (*self.history, *waiting) if type(one.event) is kind]

    async def wait_for(self, kind: type[E]) -> E:
        """The first event of this type in the outbox, as soon as there is one. It stays there."""

        async def look() -> Row | None:
            statement = "SELECT key, headers, payload FROM outbox WHERE headers LIKE $1 ORDER BY id LIMIT 1"
            return next(iter(await self.rows(statement, f"%{kind.type}%")), None)

        return cast("E", _decoded(await eventually(look, what=kind.__name__)).event)

    # Its API and its tables

    @cached_property
    def app(self) -> FastAPI:
        assert self.service.app is not None
        return self.service.app(self.service)

    def client(self, role: str = "", subject: str = "") -> httpx.AsyncClient:
        """A client of the API with this person's token and, for support and ops, a reason. Without a role: no token."""
        made = self._clients.get((role, subject))
        if made is None or made.is_closed:
            headers = self.identity.bearer(subject, role) if role else {}
            transport = httpx.ASGITransport(self.app)
            made = httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)
            self._clients[role, subject] = made
        return made

    async def rows(self, statement: str, *values: Any) -> list[Row]:
        async with self.database.reading() as queries:
            return await queries.fetch(statement, *values)

    async def value(self, statement: str, *values: Any) -> Any:
        async with self.database.reading() as queries:
            return await queries.fetch_value(statement, *values)

    async def open(self) -> None:
        self.service.health.started = True
        await self.database.open()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        await self.database.close()


class MakeHarness:
    """Makes harnesses, and closes them after the test."""

    def __init__(self, make_database: Callable[[str], Awaitable[str]], identity: Identity) -> None:
        self._make_database = make_database
        self._identity = identity
        self._made: list[ServiceHarness[Any]] = []

    async def __call__(
        self,
        name: str,
        bootstrap: Callable[..., Service[Any]],
        settings: type[ServiceSettings],
        now: datetime,
        harness: Callable[[Service[Any], Identity], H],
        *,
        database_url: str = "",
        **values: Any,
    ) -> H:
        """The service, wired by its `bootstrap(settings, clock=…)` with the usual settings and `values`. It has a new
        database unless another one is given.
        """
        usual = {
            "environment": "development",
            "database_url": database_url or await self._make_database(name),
            "kafka_bootstrap_servers": "127.0.0.1:1",
            "jwks_url": str(self._identity.path),
        }
        made = harness(bootstrap(settings(**{**usual, **values}), clock=FixedClock(now)), self._identity)
        await made.open()
        self._made.append(made)
        return made

    async def close(self) -> None:
        for made in self._made:
            await made.close()


def received(event: E | Received[E], *, time: datetime | None = None) -> Received[E]:
    """The event as the consumer decodes it, published at `time` or now."""
    if isinstance(event, Received):
        return event
    record = encode(event, sequence=1, cause=CAUSE, time=time)
    headers = [(name, value.encode()) for name, value in record.headers]
    return cast("Received[E]", decode(record.key.encode(), headers, record.value))


def _decoded(row: Row) -> Received[Any]:
    headers = [(name, text.encode()) for name, text in json.loads(row["headers"])]
    return decode(row["key"].encode(), headers, row["payload"])


def names(events: Sequence[Event]) -> list[str]:
    """The events' types, to compare what was published."""
    return [type(event).__name__ for event in events]


def slug(answer: httpx.Response) -> str:
    """The slug of the problem in the answer (RFC 9457)."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["type"]).removeprefix("/problems/")
