"""PERF-11: what each read costs one `serve` process, beside a trivial FastAPI endpoint on the same server.

    python benchmarks/reads.py [--rounds 3] [--seconds 2] [--connections 16] [--only ledger messages]

Starts a platform, lets a practice gather history (`practice.py`), and stops everything but PostgreSQL, Redis and the identity. Then each
service runs as one `serve` process, and the reads take turns with the trivial endpoint, always on kept-alive connections to the process
itself. Prints one table, medians of all rounds: what is read, SQL statements a request, processor time a request of the process and of
PostgreSQL, requests a second, and both ÷ the trivial endpoint of the same round. Only the processor time is worth something while the
machine does other things. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import asyncpg
import httpx
import psutil
import uvloop
from makegood_devtools.client import Person
from makegood_stack import postgres
from makegood_stack.config import Stack
from makegood_stack.ports import LISTEN, SERVICES, free_ports
from makegood_stack.processes import Supervisor
from makegood_stack.services import environment
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from practice import LENGTH, Practice, make

TRIVIAL: Final = "trivial endpoint"
_STILL_NEEDED: Final = frozenset({postgres.NAME, "redis", "mail"})
_NO_LIMITS_OF_A_PERSON: Final = {
    "PERSON_WORK": "1e6",
    "PERSON_WORK_BURST": "1e6",
    "PERSON_REQUESTS": "1000",
    "PERSON_EXPENSIVE_REQUESTS": "1000",
    "EXPENSIVE_REQUESTS_AT_ONCE": "1000",
}
"""One person asks in place of many. With their usual limits, only four of the connections would be served at a time, and one with an
expensive request, so that the process would mostly wait."""
_STATEMENTS: Final = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements"


@dataclass(frozen=True)
class Read:
    """A request, and the least share of the trivial endpoint's requests that it must reach (PERF-11)."""

    name: str
    service: str
    path: str
    token: str
    must: float


class Measured(NamedTuple):
    """One run of one read. Times are in microseconds of processor time a request."""

    requests: int
    per_second: float
    process: float
    postgres: float
    statements: float


def reads_of(practice: Practice) -> list[Read]:
    """What the app of the practice's member reads, and support's look at the ledger."""
    cast = practice.cast
    member, room, session = cast.member.subject, cast.room_id, practice.attended
    day = {
        "from": practice.busy_day.isoformat(),
        "to": (practice.busy_day + timedelta(days=1)).isoformat(),
        "length_minutes": LENGTH,
        "modality": cast.modality,
    }

    def read(name: str, service: str, path: str, must: float, person: Person = cast.member) -> Read:
        return Read(name, service, path, person.token, must)

    return [
        read("session", "booking", f"/v1/sessions/{practice.reserved}", 0.6),
        read("room", "booking", f"/v1/rooms/{room}", 0.6),
        read("history", "booking", f"/v1/sessions/{session}/history", 0.4),
        read("credits", "credits", f"/v1/members/{member}/credits", 0.4),
        read("messages", "notifications", f"/v1/rooms/{room}/messages", 0.4),
        read("session list", "booking", "/v1/sessions", 0.4),
        read("slots of a day", "availability", f"/v1/providers/{cast.provider.subject}/slots?{urlencode(day)}", 0.3),
        read("deliveries", "notifications", "/v1/deliveries", 0.4),
        read("ledger", "credits", f"/v1/members/{member}/ledger", 0.4),
        read("bookability", "booking", f"/v1/rooms/{room}/bookability", 0.25),
    ]


class Connection(asyncio.Protocol):
    """Asks for one thing over and over, a request at a time; knows no more of HTTP than that needs."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = bytearray()
        self._ends: float | None = None
        self.requests = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def run(self, seconds: float) -> asyncio.Future[None]:
        """Asks for so long. The future is done when the last answer is there."""
        self.requests, self.done = 0, asyncio.get_running_loop().create_future()
        self._ends = time.perf_counter() + seconds
        self._transport.write(self._request)
        return self.done

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        marked = received.lower().find(b"content-length:", 0, head)
        length = int(received[marked + 15 : received.index(b"\r", marked)])
        if len(received) < head + 4 + length:
            return
        if not received.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(SystemExit(f"{self._request!r} was answered {bytes(received[:600])!r}"))
            return
        received.clear()
        self.requests += 1
        if self._ends is not None and time.perf_counter() < self._ends:
            self._transport.write(self._request)
        elif not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        self._transport.close()


def busy(processes: list[psutil.Process]) -> dict[int, float]:
    """Seconds of processor time that each of these processes has used so far. Those that have ended are left out."""
    found: dict[int, float] = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found[process.pid] = sum(process.cpu_times()[:2])
    return found


@dataclass
class Bench:
    """The processes that answer, and the database server behind them."""

    ports: Mapping[str, int]
    processes: Mapping[str, psutil.Process]
    postmaster: psutil.Process
    admin: asyncpg.Connection[asyncpg.Record]

    async def measure(self, read: Read | None, seconds: float, connections: int) -> Measured:
        """`read` or, without one, the trivial endpoint."""
        service, path, token = (read.service, read.path, read.token) if read else (TRIVIAL, "/", "none")
        head = f"GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\nAuthorization: Bearer {token}\r\n\r\n"
        loop = asyncio.get_running_loop()
        clients = [
            (await loop.create_connection(lambda: Connection(head.encode()), LISTEN, self.ports[service]))[1]
            for _ in range(connections)
        ]
        await asyncio.gather(*(client.run(seconds / 4) for client in clients))  # warming up
        process = self.processes[service]
        statements = await self.admin.fetchval(_STATEMENTS)
        before, began = self._busy(process), time.perf_counter()
        await asyncio.gather(*(client.run(seconds) for client in clients))
        took, after = time.perf_counter() - began, self._busy(process)
        statements = await self.admin.fetchval(_STATEMENTS) - statements - 1
        for client in clients:
            client.close()
        requests = sum(client.requests for client in clients)
        each = [
            1e6 * sum(seconds - then.get(pid, 0.0) for pid, seconds in now.items()) / requests
            for now, then in zip(after, before, strict=True)
        ]
        return Measured(requests, requests / took, each[0], each[1], statements / requests)

    def _busy(self, process: psutil.Process) -> tuple[dict[int, float], dict[int, float]]:
        """What the process and PostgreSQL's have used so far."""
        return busy([process]), busy(self.postmaster.children())


@asynccontextmanager
async def answering(name: str, command: list[str], settings: Mapping[str, str], probe: str) -> AsyncIterator[int]:
    """A process that answers at the address `probe`; its id."""
    process = subprocess.Popen(  # noqa: ASYNC220 (returns at once)
        command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while True:
                try:
                    if (await http.get(probe)).is_success:
                        break
                except httpx.TransportError:
                    if process.poll() is not None:
                        raise SystemExit(f"{name} ended with {process.returncode}") from None
                await asyncio.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


@asynccontextmanager
async def bench(stack: Stack, postmaster: int, python: str = sys.executable) -> AsyncIterator[Bench]:
    """One `serve` process of each service on the databases of the stack, and one of the trivial endpoint."""
    ports: dict[str, int] = {}
    processes: dict[str, psutil.Process] = {}
    async with AsyncExitStack() as running:
        for service in SERVICES:
            port, probes = free_ports(2)
            settings = {
                "HTTP_PORT": str(port),
                "PROBE_PORT": str(probes),
                "LOG_LEVEL": "WARNING",
                **_NO_LIMITS_OF_A_PERSON,
            }
            command = [python, "-m", f"makegood_{service}", "serve"]
            begun = answering(
                service, command, environment(stack, service) | settings, f"http://{LISTEN}:{probes}/readyz"
            )
            ports[service] = port
            processes[service] = psutil.Process(await running.enter_async_context(begun))
        (port,) = free_ports(1)
        begun = answering(TRIVIAL, [python, __file__, "--trivial", str(port)], {}, f"http://{LISTEN}:{port}/")
        ports[TRIVIAL], processes[TRIVIAL] = port, psutil.Process(await running.enter_async_context(begun))
        admin = await asyncpg.connect(postgres.admin_url(stack.ports.of(postgres.NAME)))
        running.push_async_callback(admin.close)
        await admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        yield Bench(ports, processes, psutil.Process(postmaster), admin)


async def run(options: argparse.Namespace, platform: Platform) -> list[str]:
    async with platform.running():
        practice = await make(platform)
        reads = [read for read in reads_of(practice) if not options.only or read.name in options.only]
        supervisor = Supervisor(platform.home)
        records = supervisor.running()
        # Not as `down` does it: what is kept must not be told that the rest has gone.
        await asyncio.to_thread(supervisor.stop, [records[name] for name in records.keys() - _STILL_NEEDED])
        async with bench(platform.stack, records[postgres.NAME].pid) as benched:
            return await compare(options, benched, reads)


async def compare(options: argparse.Namespace, benched: Bench, reads: list[Read]) -> list[str]:
    """The table, one line for each read."""
    found: dict[str, list[Measured]] = {read.name: [] for read in reads}
    trivial: list[Measured] = []
    for _ in range(options.rounds):
        trivial.append(await benched.measure(None, options.seconds, options.connections))
        for read in reads:
            found[read.name].append(await benched.measure(read, options.seconds, options.connections))
    lines = [
        "| read | items | statements | process µs | PostgreSQL µs | requests/s | processor ÷ trivial | requests/s ÷ trivial | must |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        _line(TRIVIAL, "", trivial, trivial, ""),
    ]
    for read in reads:
        url = f"http://{LISTEN}:{benched.ports[read.service]}{read.path}"
        async with httpx.AsyncClient(trust_env=False) as http:
            body = (await http.get(url, headers={"Authorization": f"Bearer {read.token}"})).json()
        items = next((len(body[name]) for name in ("items", "next_slots") if name in body), "")
        lines.append(_line(read.name, str(items), found[read.name], trivial, str(read.must)))
    return lines


def _line(name: str, items: str, runs: list[Measured], trivial: list[Measured], must: str) -> str:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    pairs = list(zip(runs, trivial, strict=True))
    processor = median([against.process / one.process for one, against in pairs])
    requests = median([one.per_second / against.per_second for one, against in pairs])
    cells = [
        name,
        items,
        f"{median([one.statements for one in runs]):.1f}",
        f"{median([one.process for one in runs]):.0f}",
        f"{median([one.postgres for one in runs]):.0f}",
        f"{median([one.per_second for one in runs]):.0f}",
        f"{processor:.2f}",
        f"{requests:.2f}",
        must,
    ]
    return f"| {' | '.join(cells)} |"


def serve_trivial(port: int) -> None:
    """What FastAPI costs by itself, on uvicorn as it comes, with the other settings of the services' server."""
    import uvicorn
    from fastapi import FastAPI
    from makegood_chassis.http.server_config import server_config

    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, bool]:
        return {"ok": True}

    config = server_config(app, LISTEN, port)
    config.http = "httptools"
    uvloop.run(uvicorn.Server(config).serve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", nargs="+", help="names of reads, as in the table")
    parser.add_argument(
        "--trivial", type=int, metavar="PORT", help="serve the trivial endpoint there, and nothing else"
    )
    options = parser.parse_args()
    if options.trivial:
        serve_trivial(options.trivial)
        return
    with temporary_folder() as folder:
        print("\n".join(uvloop.run(run(options, Platform.at(folder)))))


if __name__ == "__main__":
    main()
