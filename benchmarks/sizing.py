"""What one process of each role does for a booking, and what a booking leaves on disk: the numbers of the sizing table.

    python benchmarks/sizing.py [--seconds 20] [--clients 64]

Starts a platform with every service in two roles, warms it up, books through the gateway, and divides the processor time of each
process, the growth of databases and topics, and the WAL by the bookings. Also counts the connections of each process. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter

import asyncpg
import psutil
from makegood_cli.load import bookings
from makegood_devtools.seeding import populate
from makegood_stack import kafka, postgres
from makegood_stack.ports import LISTEN, SERVICES
from makegood_testkit.chaos import drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.footprint import processes
from makegood_testkit.platform import Platform

SCALE = {f"{service}-{role}": 1 for service in SERVICES for role in ("serve", "work")}


def used(pid: int) -> float:
    """Processor seconds of a process and its children, those that have ended included."""
    total = 0.0
    for one in (process := psutil.Process(pid), *process.children(recursive=True)):
        times = one.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


async def databases(platform: Platform) -> tuple[int, int, Counter[str]]:
    """Bytes of the four databases, the position in the WAL, and connections by database and application."""
    admin = await asyncpg.connect(postgres.admin_url(platform.stack.ports.of(postgres.NAME)))
    try:
        size = await admin.fetchval(
            "SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname LIKE 'makegood%'"
        )
        wal = await admin.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
        rows = await admin.fetch(
            "SELECT datname, application_name, count(*) AS n FROM pg_stat_activity WHERE datname LIKE 'makegood%' GROUP BY 1, 2"
        )
    finally:
        await admin.close()
    return int(size), int(wal), Counter({f"{row['datname'][9:]} {row['application_name']}": row["n"] for row in rows})


async def tables(platform: Platform) -> Counter[str]:
    """Bytes of each table with its indexes."""
    found: Counter[str] = Counter()
    for service in SERVICES:
        admin = await asyncpg.connect(postgres.admin_url(platform.stack.ports.of(postgres.NAME), f"makegood_{service}"))
        rows = await admin.fetch(
            "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        await admin.close()
        found.update({f"{service}.{row['relname']}": row["bytes"] for row in rows})
    return found


def topics(platform: Platform) -> int:
    """Bytes of the topics on the broker, without what Kafka keeps for itself."""
    data = platform.home.state / kafka.NAME / "data"
    return sum(file.stat().st_size for file in data.glob("[!_]*/*.log"))


async def measure(platform: Platform, clients: int, seconds: float) -> None:
    async with platform.running():
        now = await platform.now()
        first, people = [
            await populate(platform.gateway, now, members=clients, providers=clients, credits=10_000) for _ in range(2)
        ]
        gateway = platform.stack.ports.of("gateway")
        await bookings.measure(LISTEN, gateway, first, concurrency=clients, seconds=5)
        await drained(platform)
        pids = processes(platform)
        before = {name: used(pid) for name, pid in pids.items()}
        size, wal, _ = await databases(platform)
        logs, sizes = topics(platform), await tables(platform)
        loading = asyncio.create_task(
            bookings.measure(LISTEN, gateway, people, concurrency=clients, seconds=seconds, warm_up=0)
        )
        await asyncio.sleep(seconds / 2)
        *_, connections = await databases(platform)
        figures = await loading
        await drained(platform)
        after_size, after_wal, _ = await databases(platform)
        number = figures["bookings"]
        told = {
            "load": figures,
            "ms per booking": {
                name: round(1000 * (used(pid) - before[name]) / number, 3) for name, pid in pids.items()
            },
            "bytes per booking": {
                "databases": round((after_size - size) / number),
                "wal": round((after_wal - wal) / number),
                "topics": round((topics(platform) - logs) / number),
            },
            "bytes per booking by table": {
                table: round(grown / number)
                for table, grown in (await tables(platform) - sizes).most_common(16)
                if grown > number
            },
            "connections": dict(sorted(connections.items())),
        }
        print(json.dumps(told, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    with temporary_folder() as folder:
        asyncio.run(measure(Platform.at(folder, scale=SCALE), options.clients, options.seconds))


if __name__ == "__main__":
    main()
