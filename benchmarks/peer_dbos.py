"""A booking as a DBOS workflow of the same three durable steps: hold the slot, hold the credit, reserve.

DBOS (https://docs.dbos.dev) is what a team would pick instead of writing sagas itself. Each step is recorded by DBOS and does
its own SQL on the scratch tables; the figure is completed workflows a second, at the best of several concurrencies.

    python benchmarks/peer_dbos.py --server postgresql://postgres@127.0.0.1:5432/postgres
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import uuid

import asyncpg
from dbos import DBOS, DBOSConfig
from scratch import scratch_database, slot

pool: asyncpg.Pool[asyncpg.Record]

REQUEST = "INSERT INTO sessions (id, room_id, member_id, provider_id, starts_at, ends_at, status) VALUES ($1,$1,$2,$3,$4,$5,'requested')"
HOLD_SLOT = "INSERT INTO slot_holds VALUES ($1, $2, $3, tstzrange($4, $5)) ON CONFLICT DO NOTHING"
HOLD_CREDIT = """
WITH paid AS (UPDATE accounts SET available = available - 1, held = held + 1 WHERE member_id = $2),
     entered AS (INSERT INTO ledger (member_id, session_id, kind, amount) VALUES ($2, $1, 'hold', 1))
INSERT INTO credit_holds VALUES ($1, $2, 'held')
"""
RESERVE = "UPDATE sessions SET status = 'reserved', version = version + 1 WHERE id = $1"


@DBOS.step()
async def hold_slot(number: int) -> bool:
    member, provider, start, stop = slot(number)
    session = uuid.UUID(int=number + 1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(REQUEST, session, member, provider, start, stop)
        return bool(await connection.execute(HOLD_SLOT, session, provider, member, start, stop))


@DBOS.step()
async def hold_credit(number: int) -> bool:
    return bool(await pool.execute(HOLD_CREDIT, uuid.UUID(int=number + 1), slot(number)[0]))


@DBOS.step()
async def reserve(number: int) -> bool:
    return bool(await pool.execute(RESERVE, uuid.UUID(int=number + 1)))


@DBOS.workflow()
async def book(number: int) -> bool:
    return await hold_slot(number) and await hold_credit(number) and await reserve(number)


async def _at_once(concurrency: int, seconds: float, first: int) -> tuple[int, float, float]:
    latencies: list[float] = []
    began = time.monotonic()

    async def client(lane: int) -> None:
        number = first + lane
        while time.monotonic() - began < seconds:
            started = time.monotonic()
            await book(number)
            latencies.append(time.monotonic() - started)
            number += concurrency

    await asyncio.gather(*(client(lane) for lane in range(concurrency)))
    elapsed = time.monotonic() - began
    return len(latencies), len(latencies) / elapsed, statistics.median(latencies)


async def measure(server_url: str, *, concurrencies: list[int], seconds: float) -> dict[int, dict[str, float]]:
    """Workflows a second and median latency (ms) by concurrency."""
    global pool
    results: dict[int, dict[str, float]] = {}
    async with scratch_database(server_url, "makegood_bench_dbos") as url:
        config: DBOSConfig = {
            "name": "booking",
            "system_database_url": url,
            "sys_db_pool_size": 20,
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        pool = await asyncpg.create_pool(url, min_size=16, max_size=16)
        first = 0
        for concurrency in concurrencies:
            done, rate, median = await _at_once(concurrency, seconds, first)
            first += done + concurrency * 1000
            results[concurrency] = {"per_second": round(rate, 1), "p50_ms": round(median * 1000, 1)}
        DBOS.destroy()
        await pool.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="PostgreSQL with the right to create databases")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    results = asyncio.run(measure(options.server, concurrencies=options.concurrency, seconds=options.seconds))
    print(json.dumps({"by_concurrency": results, "best": max(row["per_second"] for row in results.values())}))


if __name__ == "__main__":
    main()
