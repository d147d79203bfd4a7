"""Looking at a running stack: processes and their health, how far consumers are behind, what waits in the outboxes."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import asyncpg
import psutil
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from makegood_cli.stack import kafka, postgres, redis
from makegood_cli.stack.config import PARTS, Stack
from makegood_cli.stack.ports import LISTEN, SERVICES
from makegood_cli.stack.processes import Running, Supervisor


@dataclass(frozen=True)
class ProcessState:
    """One process. `health`: ready, not ready, down, or external. Memory in MiB, uptime in seconds."""

    name: str
    health: str
    detail: str = ""
    pid: int | None = None
    ports: tuple[int, ...] = ()
    uptime: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class OutboxState:
    """What waits to be sent: rows, and the age of the oldest in seconds."""

    service: str
    depth: int | None
    age: float | None
    detail: str = ""


@dataclass
class Status:
    """All of it."""

    port_offset: int
    processes: list[ProcessState] = field(default_factory=list)
    lag: dict[str, int] = field(default_factory=dict)
    outboxes: list[OutboxState] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        return all(p.health in ("ready", "external") for p in self.processes)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": self.healthy}


async def look(stack: Stack) -> Status:
    """The state of the stack; a part that does not answer is shown as such, never an error."""
    running = Supervisor(stack.home).running()
    names = [p for p in PARTS if p not in running and not any(r.startswith(f"{p}-") for r in running)]
    processes = await asyncio.gather(*(_process(stack, r) for r in running.values()))
    absent = [
        ProcessState(n, "down") if stack.is_embedded(n) else ProcessState(n, "external", "used from the environment")
        for n in names
    ]
    order = {name: index for index, name in enumerate(PARTS)}
    every = sorted([*processes, *absent], key=lambda p: (order.get(p.name.split("-")[0], 99), p.name))
    lag, outboxes = await asyncio.gather(
        consumer_lag(stack.bootstrap), asyncio.gather(*(_outbox(stack, s) for s in SERVICES))
    )
    return Status(stack.choices.port_offset, every, lag, list(outboxes))


async def _process(stack: Stack, record: Running) -> ProcessState:
    ports = tuple(record.ports.values())
    ready, detail = await _health(stack, record.name, ports)
    uptime = memory = None
    try:
        process = psutil.Process(record.pid)
        uptime, memory = time.time() - process.create_time(), process.memory_info().rss >> 20
    except psutil.Error:
        pass
    return ProcessState(record.name, "ready" if ready else "not ready", detail, record.pid, ports, uptime, memory)


async def _health(stack: Stack, name: str, ports: tuple[int, ...]) -> tuple[bool, str]:
    if name == kafka.NAME:
        return await kafka.answers(stack.bootstrap), ""
    if name == postgres.NAME:
        return await postgres.answers(postgres.admin_url(ports[0])), ""
    if name == redis.NAME:
        return await redis.answers(ports[0]), ""
    port, path = (ports[1], "/ready") if name == "gateway" else (ports[-1], "/readyz")
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as client,
            client.get(f"http://{LISTEN}:{port}{path}") as response,
        ):
            text = "" if response.status == 200 else (await response.text())[:200].strip()
            return response.status == 200, text
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return False, type(error).__name__


async def consumer_lag(bootstrap: str) -> dict[str, int]:
    """Events that each consumer group has still to take, over all its partitions; empty if the broker is away."""
    if not await kafka.answers(bootstrap):
        return {}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        await consumer.start()
        groups = sorted(g[0] for g in await admin.list_consumer_groups())
        committed: dict[str, dict[TopicPartition, int]] = {}
        for group in groups:
            offsets = await admin.list_consumer_group_offsets(group)
            committed[group] = {p: meta.offset for p, meta in offsets.items() if meta.offset >= 0}
        partitions = sorted({p for offsets in committed.values() for p in offsets})
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions) if partitions else {}
        lag: defaultdict[str, int] = defaultdict(int)
        for group, offsets in committed.items():
            for partition, offset in offsets.items():
                lag[group] += max(0, ends.get(partition, offset) - offset)
        return dict(lag)
    except (KafkaError, OSError):
        return {}
    finally:
        await consumer.stop()
        await admin.close()


async def _outbox(stack: Stack, service: str) -> OutboxState:
    try:
        connection = await asyncpg.connect(stack.database_url(service), timeout=3)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        return OutboxState(service, None, None, f"no database ({type(error).__name__})")
    try:
        row = await connection.fetchrow(
            "SELECT count(*) AS depth, extract(epoch FROM clock_timestamp() - min(created_at)) AS age FROM outbox"
        )
        if row is None:
            return OutboxState(service, None, None)
        return OutboxState(service, row["depth"], float(row["age"]) if row["age"] is not None else None)
    except asyncpg.UndefinedTableError:
        return OutboxState(service, None, None, "not migrated")
    finally:
        await connection.close()
