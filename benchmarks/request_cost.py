"""What one HTTP request costs a `serve` process of booking in processor time, beside a trivial FastAPI endpoint.

    python benchmarks/request_cost.py [--requests 1000] [--rounds 8] [--only read_session,book]

Each target runs in a process of its own; all take turns in short rounds. Prints microseconds of processor time of the process for one
request, of the best round and of the median one, and how many requests can be made in the time of one of the trivial endpoint (of the
best rounds: what disturbs a measurement only ever adds to it). PostgreSQL's own time is not in it.

Server: `--postgres URL` (a superuser's), or what the tests' fixtures would start.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm
from makegood_booking.bootstrap import bootstrap
from makegood_booking.settings import BookingSettings
from makegood_contracts.events import CreditHeld, SchedulePublished, SessionType, SlotHeld, WeeklyHours
from makegood_contracts.ids import new_id
from makegood_testkit.databases import Databases, settings_of
from makegood_testkit.servers import decide, servers
from makegood_testkit.service import CAUSE, received
from starlette.types import Receive, Scope, Send

CONNECTIONS = 16
ISSUER = "https://identity.makegood.invalid"


@dataclass
class Target:
    """What is asked of which process: the bytes of each request, and the status that it must be answered with."""

    process: subprocess.Popen[bytes]
    port: int
    request: Callable[[], bytes]
    status: int = 200


# What the requests are compared with. Each is `uvicorn benchmarks.request_cost:<name>`.


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that answers at once."""
    body = b'{"message":"hello"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


trivial = FastAPI(openapi_url=None)


@trivial.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    """The endpoint that FastAPI's introduction shows."""
    return {"message": f"hello {name}"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def listening(port: int) -> None:
    for _ in range(1200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing listens on port {port}")


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Of all its threads, as the scheduler counts it: in nanoseconds, not in ticks."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def ask(target: Target, requests: int) -> None:
    """Sends requests over a few connections, each as soon as the one before is answered."""
    left = itertools.count()

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        while next(left) < requests:
            writer.write(target.request())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if int(head[9:12]) != target.status:
                raise SystemExit(f"answered {head!r} {body[:500]!r}")
        writer.close()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))


def get(path: str, *headers: str) -> Callable[[], bytes]:
    content = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "host: booking", *headers)) + "\r\n"
    return content.encode


class People:
    """Tokens of an identity provider of this run."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.jwks = folder / "jwks.json"
        public = {**RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True), "kid": "k", "use": "sig", "alg": "RS256"}
        self.jwks.write_text(json.dumps({"keys": [public]}))

    def token(self, role: str, name: str) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": ISSUER, "aud": "makegood", "sub": name, "roles": [role], "jti": new_id()}
        return jwt.encode({**claims, "iat": now, "exp": now + 3600}, self._key, "RS256", headers={"kid": "k"})

    def header(self, role: str, name: str) -> str:
        return f"authorization: Bearer {self.token(role, name)}"


async def prepare(url: str, base: str, people: People, jwks: str) -> tuple[str, dict[str, Any]]:
    """A room, and a session in it that is reserved. Booking hears of it as its consumer would."""
    settings = BookingSettings(
        environment="development", database_url=url, kafka_bootstrap_servers="127.0.0.1:1", jwks_url=jwks
    )
    service = bootstrap(settings)
    await service.database.open()
    schedule = SchedulePublished(
        provider_id="dr-lee",
        schedule_version=1,
        time_zone="UTC",
        specialty="therapy",
        session_types=[SessionType(length_minutes=30, modalities=["video"])],
        minimum_notice_minutes=0,
        horizon_days=365,
        weekly=tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7)),
    )

    async def hear(event: Any) -> None:
        async with service.database.transaction(CAUSE) as unit:
            await service.events[type(event)]([received(event)], unit)

    async with httpx.AsyncClient(base_url=base) as client:
        await hear(schedule)
        anna = {"authorization": f"Bearer {people.token('member', 'anna')}"}
        support = {
            "authorization": f"Bearer {people.token('support', 'sam')}",
            "x-access-reason": "support_request",
        }
        room = (
            (await client.post("/v1/rooms", json={"member_id": "anna", "provider_id": "dr-lee"}, headers=support))
            .raise_for_status()
            .json()
        )
        body = json.loads(booking_body(room["id"], 1))
        answer = await client.post("/v1/sessions", json=body, headers={**anna, "idempotency-key": new_id()})
        session: dict[str, Any] = answer.raise_for_status().json()
        about = {"session_id": session["id"], "member_id": "anna"}
        starts_at, ends_at = (datetime.fromisoformat(session[name]) for name in ("starts_at", "ends_at"))
        until = datetime.now(UTC) + timedelta(minutes=15)
        await hear(SlotHeld(**about, provider_id="dr-lee", starts_at=starts_at, ends_at=ends_at, hold_until=until))
        await hear(
            CreditHeld(**about, hold_id=new_id(), funding="credit", plan_id="plan", available_after=3, hold_until=until)
        )
    await service.database.close()
    return str(room["id"]), session


def booking_body(room_id: str, number: int) -> str:
    starts_at = (datetime.now(UTC) + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    starts_at += timedelta(minutes=number % 100_000)
    return json.dumps(
        {
            "room_id": room_id,
            "starts_at": starts_at.isoformat(),
            "length_minutes": 30,
            "modality": "video",
            "time_zone": "Europe/Berlin",
        }
    )


def booking_requests(room_id: str, authorization: str) -> Callable[[], bytes]:
    numbers = itertools.count(2)

    def request() -> bytes:
        body = booking_body(room_id, next(numbers))
        head = (
            f"POST /v1/sessions HTTP/1.1\r\nhost: booking\r\n{authorization}\r\nidempotency-key: {new_id()}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()

    return request


@asynccontextmanager
async def targets(postgres: str, folder: Path) -> AsyncIterator[dict[str, Target]]:
    databases, people = Databases(postgres), People(folder)
    url = await databases.make("booking")
    ports = [free_port() for _ in range(4)]
    environment = {
        **os.environ,
        **settings_of("booking", url),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        "MAKEGOOD_ENVIRONMENT": "development",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "JWKS_URL": str(people.jwks),
        "HTTP_PORT": str(ports[2]),
        "PROBE_PORT": str(ports[3]),
        "PERSON_REQUESTS": "1000",
        "PERSON_WORK": "1000",
        "PERSON_WORK_BURST": "1000",
        "LOG_LEVEL": "WARNING",
    }
    uvicorn = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port"]
    try:
        with ExitStack() as stack:
            plain = stack.enter_context(running([*uvicorn, str(ports[0]), "request_cost:raw"], environment))
            fastapi = stack.enter_context(running([*uvicorn, str(ports[1]), "request_cost:trivial"], environment))
            service = [sys.executable, "-m", "makegood_booking", "serve"]
            booking = stack.enter_context(running(service, environment))
            for port in ports:
                await listening(port)
            room_id, session = await prepare(url, f"http://127.0.0.1:{ports[2]}", people, str(people.jwks))
            anna = people.header("member", "anna")
            session_path = f"/v1/sessions/{session['id']}"
            yield {
                "raw ASGI": Target(plain, ports[0], get("/")),
                "trivial": Target(fastapi, ports[1], get("/hello/anna")),
                "livez": Target(booking, ports[3], get("/livez")),
                "refused": Target(booking, ports[2], get(session_path), 401),
                "read_room": Target(booking, ports[2], get(f"/v1/rooms/{room_id}", anna)),
                "read_session": Target(booking, ports[2], get(session_path, anna)),
                "history": Target(booking, ports[2], get(f"{session_path}/history", anna)),
                "book": Target(booking, ports[2], booking_requests(room_id, anna), 202),
            }
    finally:
        await databases.drop(url)


async def measure(options: argparse.Namespace, postgres: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with targets(postgres, Path(folder)) as found:
            chosen = {
                name: target for name, target in found.items() if name == "trivial" or name in (options.only or found)
            }
            costs: dict[str, list[float]] = {name: [] for name in chosen}
            for number in range(options.rounds + 1):
                for name, target in chosen.items():
                    before = processor_seconds(target.process)
                    await ask(target, options.requests)
                    if number:  # the first round warms up
                        costs[name].append((processor_seconds(target.process) - before) / options.requests * 1e6)
    best = {name: min(values) for name, values in costs.items()}
    for name, cost in best.items():
        median = round(statistics.median(costs[name]))
        print(
            json.dumps(
                {"target": name, "us": round(cost), "median_us": median, "speed": round(best["trivial"] / cost, 2)}
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", default=os.environ.get("BENCH_POSTGRES_URL"))
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", type=lambda text: text.split(","))
    options = parser.parse_args()
    with ExitStack() as stack:
        postgres = options.postgres or stack.enter_context(servers(decide())).postgres()
        uvloop.run(measure(options, postgres))


if __name__ == "__main__":
    main()
