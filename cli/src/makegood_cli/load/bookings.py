"""`makegood load bookings`: members book through the gateway and wait for the outcome.

Each booking is a request → session row → topic → slot hold and credit hold → topics → reserved → wake-up → 201. Only a 201
counts.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from datetime import datetime
from typing import Any

import msgspec
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population

from makegood_cli.load.connection import Connection, head
from makegood_cli.load.figures import ProcessorTime, milliseconds

_encode = msgspec.json.Encoder().encode


class _Clients:
    """Concurrent clients. Each books one session after another, for several members in turn."""

    def __init__(self, host: str, port: int, population: Population) -> None:
        self.host, self.port, self.population = host, port, population
        self.turns: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.measuring = False

    async def run(self, concurrency: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        everybody = self.population.members
        await asyncio.gather(*(self._client(everybody[index::concurrency], until) for index in range(concurrency)))

    async def _client(self, members: list[LoadMember], until: float) -> None:
        connection = await Connection.open(self.host, self.port)
        turn = 0
        try:
            while time.monotonic() < until:
                member = members[turn % len(members)]
                turn += 1
                if not connection.is_open:
                    connection = await Connection.open(self.host, self.port)
                await self._book(connection, member)
        finally:
            connection.close()

    async def _book(self, connection: Connection, member: LoadMember) -> None:
        number = self.turns[member.subject]
        self.turns[member.subject] += 1
        if number >= member.turns:
            raise RuntimeError("the run has used all slots; make it shorter")
        request = head(
            "POST",
            "/v1/sessions",
            f"{self.host}:{self.port}",
            member.login.token,
            ("Idempotency-Key", str(uuid.uuid4())),
            ("Prefer", "wait=20"),
        )
        began = time.monotonic()
        try:
            status, _ = await connection.request(request, booking(member, number, self.population.first_day))
        except OSError:
            status = 0
        if self.measuring:
            self.statuses[status] += 1
            if status == 201:
                self.latencies.append(time.monotonic() - began)


def booking(member: LoadMember, number: int, first_day: datetime) -> bytes:
    """The body of a member's booking number `number`."""
    return _encode(
        {
            "room_id": member.room_id,
            "starts_at": member.slot(number, first_day),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "time_zone": "UTC",
        }
    )


async def measure(
    host: str,
    port: int,
    population: Population,
    *,
    concurrency: int,
    seconds: float,
    warm_up: float = 3.0,
    processes: ProcessorTime | None = None,
) -> dict[str, Any]:
    """Measures bookings per second (201 only), latencies, other answers by status (0: connection lost) and cores per
    process."""
    clients = _Clients(host, port, population)
    await clients.run(concurrency, warm_up)
    clients.measuring = True
    if processes is not None:
        processes.start()
    began = time.monotonic()
    await clients.run(concurrency, seconds)
    elapsed = time.monotonic() - began
    return {
        "scenario": "bookings",
        "concurrency": concurrency,
        "seconds": round(elapsed, 1),
        "bookings": len(clients.latencies),
        "bookings_per_second": round(len(clients.latencies) / elapsed, 1),
        "latency_ms": milliseconds(clients.latencies),
        "other_answers": {str(status): count for status, count in clients.statuses.items() if status != 201},
        "cores": processes.stop() if processes is not None else {},
    }
