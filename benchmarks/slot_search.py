"""PERF-5: how long a slot search takes in the service, and whether it notices how many sessions there are.

    python benchmarks/slot_search.py [--sessions 1000000] [--searches 3000] [--runs 3]

Two fresh databases with 1,000 providers each, one with 10,000 live sessions and one with `--sessions`. In the fortnight that is searched
both have ten sessions a provider; the rest lies in the months before, live as well, so that all of it is in the index. Each search is
one whole request in the service (rights, validation, queries, encoding), for one of all the providers at random, with the day, week and
fortnight that client apps ask for; the two databases take turns. Prints each run and the medians as JSON.

Server: `--postgres URL` (a superuser's), or what the tests' fixtures would start. Drops the two databases again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
import jwt
import practice
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from makegood_availability.bootstrap import bootstrap
from makegood_availability.settings import AvailabilitySettings
from makegood_chassis.clock import FixedClock
from makegood_chassis.service import Service
from makegood_testkit.databases import Databases, as_login
from makegood_testkit.servers import decide, servers

PROVIDERS = 1000
SEARCHED = 10
"""Sessions of each provider in the fortnight that is searched."""
MONDAY = datetime(2030, 1, 7, tzinfo=UTC)
SCHEDULE = practice.SCHEDULE | {"exceptions": [{"date": "2030-01-09", "hours": []}], "buffer_before_minutes": 0}
CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'slot_holds'::regclass AND contype = 'x'
"""
FILL = """
INSERT INTO slot_holds (session_id, provider_id, member_id, starts_at, ends_at, blocked, hold_until, live, firm)
SELECT gen_random_uuid(), 'provider-' || provider, 'member-' || provider || '-' || turn % 50, start, start + interval '45 minutes',
    tstzrange(start, start + interval '55 minutes'), start, true, true
FROM generate_series(0, $1 - 1) AS provider, generate_series(0, $2 - 1) AS turn,
    LATERAL (SELECT CASE WHEN turn < $3 THEN $4::timestamptz + turn * interval '1 day' + interval '15 hours'
        ELSE $4::timestamptz - (turn - $3 + 1) * interval '1 hour' END AS start) AS at
"""


async def fill(url: str, sessions: int) -> None:
    """The schedules and sessions; the constraints are created afterwards, which is faster and checks the same."""
    connection = await asyncpg.connect(as_login(url, "owner"))
    try:
        await connection.executemany(
            "INSERT INTO schedules (provider_id, version, sequence, body, changed_at) VALUES ($1, 1, 1, $2, $3)",
            [(f"provider-{number}", json.dumps(SCHEDULE), MONDAY) for number in range(PROVIDERS)],
        )
        constraints = await connection.fetch(CONSTRAINTS)
        for name, _ in constraints:
            await connection.execute(f'ALTER TABLE slot_holds DROP CONSTRAINT "{name}"')
        await connection.execute(FILL, PROVIDERS, sessions // PROVIDERS, SEARCHED, MONDAY, timeout=600)
        for name, definition in constraints:
            await connection.execute(f'ALTER TABLE slot_holds ADD CONSTRAINT "{name}" {definition}', timeout=600)
        await connection.execute("VACUUM ANALYZE", timeout=600)
    finally:
        await connection.close()


class Searching:
    """One service on one database, asked as its HTTP server would ask it."""

    def __init__(self, service: Service, token: str) -> None:
        assert service.app is not None
        self._service = service
        self._app: Callable[..., Awaitable[None]] = service.app(service)
        self._headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"availability")]
        self.found = 0

    async def open(self) -> None:
        self._service.health.started = True
        await self._service.database.open()

    async def close(self) -> None:
        await self._service.database.close()

    async def search(self, provider: int, days: int) -> float:
        """Seconds that one search took. Raises SystemExit for an answer that is none."""
        query = {"from": MONDAY.isoformat(), "to": (MONDAY + timedelta(days=days)).isoformat()}
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/v1/providers/provider-{provider}/slots",
            "raw_path": b"",
            "root_path": "",
            "query_string": urlencode({**query, "length_minutes": 45, "modality": "video"}).encode(),
            "headers": self._headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        status, body = 0, bytearray()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            body.extend(message.get("body", b""))

        started = time.perf_counter()
        await self._app(scope, receive, send)
        took = time.perf_counter() - started
        if status != 200 or not body.startswith(b'{"items":[{'):
            raise SystemExit(f"a search answered {status}: {bytes(body[:300])!r}")
        self.found += body.count(b"starts_at")
        return took


async def measure(options: argparse.Namespace, postgres: str) -> None:
    databases = Databases(postgres)
    key = rsa.generate_private_key(65537, 2048)
    claims = {
        "iss": "https://identity.makegood.invalid",
        "aud": "makegood",
        "sub": "member-1-1",
        "roles": ["member"],
        "exp": int(time.time()) + 3600,
        "jti": "benchmark",
    }
    token = jwt.encode(claims, key, "RS256", headers={"kid": "bench"})
    searching: dict[int, Searching] = {}
    urls: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        jwks = Path(folder) / "jwks.json"
        public = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "bench", "use": "sig", "alg": "RS256"}
        jwks.write_text(json.dumps({"keys": [public]}))
        try:
            for sessions in (10_000, options.sessions):
                url = await databases.make("availability")
                urls.append(url)
                await fill(url, sessions)
                settings = AvailabilitySettings(
                    environment="development",
                    database_url=url,
                    kafka_bootstrap_servers="127.0.0.1:1",
                    jwks_url=str(jwks),
                    person_work=1000,  # one person asks all
                    person_work_burst=1000,
                )
                searching[sessions] = Searching(bootstrap(settings, FixedClock(MONDAY)), token)
                await searching[sessions].open()
            await compare(options, searching)
        finally:
            for one in searching.values():
                await one.close()
            for url in urls:
                await databases.drop(url)


async def compare(options: argparse.Namespace, searching: dict[int, Searching]) -> None:
    rng = random.Random(5)
    runs: list[dict[str, float]] = []
    for number in range(options.runs + 1):
        times: dict[int, list[float]] = {sessions: [] for sessions in searching}
        for _ in range(options.searches):
            provider, days = rng.randrange(PROVIDERS), rng.choice([1, 7, 14])
            for sessions, service in searching.items():
                times[sessions].append(await service.search(provider, days))
        few, many = (sorted(values) for values in times.values())
        if number == 0:
            continue  # warming up: statements prepared, schedules parsed
        runs.append(
            {
                "p50_ms": round(1000 * many[len(many) // 2], 3),
                "p99_ms": round(1000 * many[len(many) * 99 // 100], 3),
                "p99_ms_with_10000": round(1000 * few[len(few) * 99 // 100], 3),
                "ratio_p99": round(many[len(many) * 99 // 100] / few[len(few) * 99 // 100], 3),
                "ratio_p50": round(many[len(many) // 2] / few[len(few) // 2], 3),
            }
        )
        print(json.dumps(runs[-1]))
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(
        json.dumps({"sessions": options.sessions, "searches": options.searches, "runs": len(runs), "median": medians})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", default=os.environ.get("BENCH_POSTGRES_URL"))
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        postgres = options.postgres or stack.enter_context(servers(decide())).postgres()
        uvloop.run(measure(options, postgres))


if __name__ == "__main__":
    main()
