"""Inspects a running stack: processes and their health, consumer lag, outboxes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import asyncpg
import psutil
from makegood_devtools.errors import UserError

from makegood_stack import kafka, postgres, redis
from makegood_stack.backlog import Backlog
from makegood_stack.config import PARTS, Stack
from makegood_stack.ports import LISTEN, SERVICES
from makegood_stack.processes import Running, Supervisor


@dataclass(frozen=True)
class ProcessState:
    """A process. `health` is ready, not ready, down, external or running. Memory is in MiB, uptime in seconds.

    `running`: a process somewhere else, which has told the database so within ten seconds."""

    name: str
    health: str
    detail: str = ""
    role: str = ""
    pid: int | None = None
    ports: tuple[int, ...] = ()
    uptime: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class OutboxState:
    """An outbox: the number of unsent rows, and the age of the oldest in seconds."""

    service: str
    depth: int | None
    age: float | None
    detail: str = ""


@dataclass
class Status:
    """The state of a stack. `choices`: options that are not the defaults. `remarks`: problems that no process shows by
    itself."""

    port_offset: int
    choices: str = ""
    processes: list[ProcessState] = field(default_factory=list)
    lag: dict[str, int] = field(default_factory=dict)
    outboxes: list[OutboxState] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        return not self.remarks and all(p.health in ("ready", "external", "running") for p in self.processes)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": self.healthy}


_RUNNING = "SELECT id, role FROM processes WHERE seen_at > clock_timestamp() - interval '10 seconds' ORDER BY id"
"""Processes report every second that they are running."""
Found = list[tuple[str, str]]
"""Id and role of each running process of a service."""


async def look(stack: Stack) -> Status:
    """Reads the state of the stack. A part that does not answer is reported, not raised.

    If nothing of it runs on this machine, processes are those that the databases know.
    """
    running = Supervisor(stack.home).running()
    if not running and not any(map(stack.is_embedded, (kafka.NAME, postgres.NAME))):
        return await _look_elsewhere(stack)
    expected = {process.name: process.role for service in SERVICES for process in stack.processes(service)}
    names = [name for name in (*(p for p in PARTS if p not in SERVICES), *expected) if name not in running]
    processes = await asyncio.gather(*(_process(stack, r) for r in running.values()))
    absent = [
        ProcessState(n, "down", role=expected.get(n, ""))
        if stack.is_embedded(n)
        else ProcessState(n, "external", "used from the environment")
        for n in names
    ]
    order = {name: index for index, name in enumerate(PARTS)}
    every = sorted([*processes, *absent], key=lambda p: (order.get(p.name.split("-")[0], 99), p.name))
    lag, looks = await asyncio.gather(consumer_lag(stack), asyncio.gather(*(_database(stack, s) for s in SERVICES)))
    well = {p.name.partition("-")[0] for p in every if p.health == "ready"}
    remarks = [
        remark
        for service, (_, found) in zip(SERVICES, looks, strict=True)
        if service in well
        for remark in missing_roles(service, None if found is None else frozenset(role for _, role in found))
    ]
    outboxes = [outbox for outbox, _ in looks]
    return Status(stack.choices.port_offset, stack.choices.words, every, lag, outboxes, remarks)


async def _look_elsewhere(stack: Stack) -> Status:
    """The state of services that run on other machines or on a cluster."""
    lag, looks, answers = await asyncio.gather(
        consumer_lag(stack), asyncio.gather(*(_database(stack, s) for s in SERVICES)), kafka.answers(stack.kafka)
    )
    broken = [outbox.service for outbox, found in looks if found is None]
    detail = f"does not answer for {', '.join(broken)}" if broken else ""
    processes = [
        ProcessState(kafka.NAME, "ready" if answers else "not ready"),
        ProcessState(postgres.NAME, "not ready" if broken else "ready", detail),
    ]
    remarks = []
    for service, (_, found) in zip(SERVICES, looks, strict=True):
        if found is None:
            continue
        processes += [ProcessState(_place(service, *each), "running", role=each[1]) for each in found]
        roles = {role for _, role in found}
        remarks += [
            f"no process of {service} runs in the role {role}"
            for role in ("serve", "work")
            if not {role, "all"} & roles
        ]
    return Status(stack.choices.port_offset, "", processes, lag, [outbox for outbox, _ in looks], remarks)


def _place(service: str, name: str, role: str) -> str:
    """Where a process runs: the machine or pod in its id, `<service>-<role>-<host>-<pid>`."""
    host = name.removeprefix(f"{service}-{role}-").rpartition("-")[0]
    return host if service in host else f"{service} on {host}"


def missing_roles(service: str, roles: frozenset[str] | None) -> list[str]:
    """Remarks about roles that no running process of the service has."""
    if roles is None or "all" in roles or {"serve", "work"} <= roles:
        return []
    if "serve" in roles:
        return [f"no process of {service} works on events and deadlines. Start one with: makegood up --role all"]
    if "work" in roles:
        return [f"no process of {service} serves requests. Start one with: makegood up --role all"]
    return []


async def _process(stack: Stack, record: Running) -> ProcessState:
    ports = tuple(record.ports.values())
    ready, detail = await _health(stack, record.name, ports)
    uptime = memory = None
    try:
        process = psutil.Process(record.pid)
        uptime, memory = time.time() - process.create_time(), memory_of(process) >> 20
    except psutil.Error:
        pass
    health = "ready" if ready else "not ready"
    return ProcessState(record.name, health, detail, record.role, record.pid, ports, uptime, memory)


def memory_of(process: psutil.Process) -> int:
    """Bytes used by a process and its children. On Linux, shared memory counts once."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += int(getattr(one.memory_full_info(), "pss", 0)) or one.memory_info().rss
        except psutil.AccessDenied:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


async def _health(stack: Stack, name: str, ports: tuple[int, ...]) -> tuple[bool, str]:
    if name == kafka.NAME:
        return await kafka.answers(stack.kafka), ""
    if name == postgres.NAME:
        return await postgres.answers(postgres.admin_url(ports[0])), ""
    if name == redis.NAME:
        return await redis.answers(stack.redis_url), ""
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


async def consumer_lag(stack: Stack) -> dict[str, int]:
    """Consumer lag by group; empty if the broker does not answer."""
    if not await kafka.answers(stack.kafka):
        return {}
    backlog = Backlog(stack.kafka, stack.topic_prefix())
    try:
        return await backlog.groups()
    except UserError:
        return {}
    finally:
        await backlog.close()


async def _database(stack: Stack, service: str) -> tuple[OutboxState, Found | None]:
    """A service's outbox, and its running processes (None if unknown)."""
    try:
        connection = await asyncpg.connect(stack.database_url(service, "auditor"), timeout=3)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        return OutboxState(service, None, None, f"no database ({type(error).__name__})"), None
    try:
        row = await connection.fetchrow(
            "SELECT count(*) AS depth, extract(epoch FROM clock_timestamp() - min(created_at)) AS age FROM outbox"
        )
        running = await connection.fetch(_RUNNING)
        if row is None:
            return OutboxState(service, None, None), None
        age = float(row["age"]) if row["age"] is not None else None
        return OutboxState(service, row["depth"], age), [(r["id"], r["role"]) for r in running]
    except asyncpg.UndefinedTableError:
        return OutboxState(service, None, None, "not migrated"), None
    finally:
        await connection.close()
