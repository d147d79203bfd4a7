"""The development clock of all four services, which is moved through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
from makegood_devtools import keys
from makegood_devtools.errors import UserError

from makegood_stack.backlog import Backlog
from makegood_stack.config import Stack
from makegood_stack.ports import SERVICES

_PATIENCE = 120.0
LONGEST = timedelta(days=3660)
"""How far ahead of real time services accept their clock: ten years."""


_READ = "SELECT offset_seconds FROM clock"
_MOVE = """
UPDATE clock SET offset_seconds = $1, revision = revision + 1 WHERE offset_seconds < $1 RETURNING pg_notify('clock', '')
"""


class _Down(UserError):
    """A service does not answer."""


class DevelopmentClock:
    """The clock of a running stack. Use it with `async with`."""

    def __init__(
        self, base_url: str, login: keys.Login, backlog: Backlog, databases: Mapping[str, str] | None = None
    ) -> None:
        self._base_url = base_url
        self._login = login
        self._backlog = backlog
        self._databases = databases or {}
        """The database of a service that is down. It takes its time from there when it starts again."""
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))

    @classmethod
    def of(cls, stack: Stack) -> DevelopmentClock:
        # Use a separate person, because the gateway limits requests per person and several clocks may be in use.
        login = keys.Login(stack.home.identity, "ops", f"makegood-clock-{uuid4().hex[:8]}")
        databases = {service: stack.database_url(service) for service in SERVICES}
        return cls(stack.base_url, login, Backlog(stack.kafka, stack.topic_prefix()), databases)

    async def __aenter__(self) -> DevelopmentClock:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await self._backlog.close()

    async def _call(
        self, method: str, service: str, body: dict[str, Any] | None = None, *, patient: int = 10
    ) -> dict[str, Any]:
        url = f"{self._base_url}/v1/{service}/dev/clock"
        headers = {"Authorization": f"Bearer {self._login.token}"}
        try:
            async with self._client.request(method, url, json=body, headers=headers) as response:
                if response.status == 200:
                    answer: dict[str, Any] = await response.json()
                    return answer
                if response.status == 429 and patient:
                    await asyncio.sleep(float(response.headers.get("Retry-After", "1")))
                    return await self._call(method, service, body, patient=patient - 1)
                text = (await response.text())[:300]
                if response.status in (403, 404, 405):
                    raise UserError(
                        f"{service} refuses to move its clock, which is possible in development only "
                        f"(MAKEGOOD_ENVIRONMENT=development); it answered {response.status}"
                    )
                raise _Down(f"the clock of {service} cannot be reached: {response.status} {text}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _Down(
                f"the gateway at {self._base_url} does not answer ({error}). Start it with: makegood up"
            ) from error

    async def _at(self, service: str, offset: float | None = None) -> dict[str, Any]:
        """A service's clock, moved to `offset` if given. For a service that is down, the clock in its database."""
        try:
            if offset is None:
                return await self._call("GET", service)
            return await self._call("PUT", service, {"offset_seconds": offset})
        except _Down as down:
            if service not in self._databases:
                raise
            return await _in_database(self._databases[service], offset, down)

    async def now(self) -> dict[str, dict[str, Any]]:
        """The clocks of all services."""
        answers = await asyncio.gather(*(self._at(s) for s in SERVICES))
        return dict(zip(SERVICES, answers, strict=True))

    async def move(self, services: Sequence[str], to: datetime) -> None:
        """Sets the clocks of these services only, without waiting until they have settled, for load tests."""
        await self._put(services, (to - datetime.now(UTC)).total_seconds())

    async def _put(self, services: Sequence[str], offset: float) -> None:
        """Moves the clocks to this many seconds ahead of real time. Raises UserError with the services that failed."""
        results = await asyncio.gather(*(self._at(s, offset) for s in services), return_exceptions=True)
        failed = {s: r for s, r in zip(services, results, strict=True) if isinstance(r, BaseException)}
        if not failed:
            return
        first = next(iter(failed.values()))
        moved = [s for s in services if s not in failed]
        if not moved or not isinstance(first, UserError):
            raise first
        raise UserError(
            f"the clock of {', '.join(moved)} was moved, but not that of {', '.join(failed)}: {first.message}\n"
            "To bring all to the latest of them: makegood clock advance 1s"
        )

    async def advance(self, by: timedelta) -> str:
        """Advances all four clocks by `by`, from the latest of them. Returns the new time (RFC 3339) once all have settled.

        Settled means that all processes use the new time, and that all deadlines up to it and their consequences have been
        handled. Work in progress is finished before the clock moves; otherwise the jump would make new holds lapse (AVAIL-4).
        A service that is down is not waited for. It gets the new time when it starts, and then handles its deadlines.
        """
        if by > LONGEST:
            raise _too_far()
        self._offset(await self.now(), by)
        offset = self._offset(await self._settled("the clock was not moved: "), by)
        await self._put(SERVICES, offset)
        return str((await self._settled("the clock was moved, but "))["booking"]["now"])

    async def settle(self) -> None:
        """Waits until all events so far have been handled. Does not move the clock."""
        await self._settled("")

    @staticmethod
    def _offset(clocks: dict[str, dict[str, Any]], by: timedelta) -> float:
        offset = max(float(c["offset_seconds"]) for c in clocks.values()) + by.total_seconds()
        if offset > LONGEST.total_seconds():
            raise _too_far()
        return offset

    async def _settled(self, what: str) -> dict[str, dict[str, Any]]:
        """Waits until all services have settled and no event is unread, twice in a row. Returns the clocks."""
        until = time.monotonic() + _PATIENCE
        quiet = 0
        while True:
            clocks = await self.now()
            behind = await self._backlog.events(but=[s for s, c in clocks.items() if c.get("down")])
            waiting = [s for s, c in clocks.items() if not c["settled"]]
            quiet = 0 if waiting or behind else quiet + 1
            if quiet == 2:
                return clocks
            if time.monotonic() > until:
                who = ", ".join(waiting) or f"{behind} events"
                raise UserError(f"{what}{who} not handled after {_PATIENCE:.0f} s")
            await asyncio.sleep(0.1)


async def _in_database(url: str, offset: float | None, down: _Down) -> dict[str, Any]:
    """The clock of a service that is down, from its database. Raises UserError if that does not answer either, or outside
    development."""
    # Imported late, because most commands need no database.
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            if offset is not None:
                await connection.execute(_MOVE, offset)
            found = float(await connection.fetchval(_READ))
        finally:
            await connection.close()
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise UserError(
            f"{down.message}; nor does its database let the clock be moved ({type(error).__name__})"
        ) from error
    now = (datetime.now(UTC) + timedelta(seconds=found)).isoformat().replace("+00:00", "Z")
    return {"now": now, "offset_seconds": found, "settled": True, "down": True}


def _too_far() -> UserError:
    return UserError(f"the clock can be at most {LONGEST.days} days ahead of real time", exit_code=2)
