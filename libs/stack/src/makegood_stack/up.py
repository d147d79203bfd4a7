"""Starts and stops the stack. Parts that do not depend on each other start in parallel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from aiokafka.errors import KafkaError
from makegood_devtools.errors import UserError
from makegood_devtools.event_keys import make_event_keys
from makegood_devtools.join_key import make_join_key
from makegood_devtools.keys import signing_key
from rich.console import Console

from makegood_stack import kafka, postgres, redis, topics
from makegood_stack.config import PARTS, Choices, Stack
from makegood_stack.download import disk_error
from makegood_stack.error_groups import first_error
from makegood_stack.home import Home
from makegood_stack.locks import exclusive
from makegood_stack.packages import Programs, provide
from makegood_stack.ports import LISTEN, SERVICES, require_free
from makegood_stack.processes import Running, Spec, Supervisor
from makegood_stack.services import gateway_spec, mail_spec, service_specs

_PATIENCE = 90.0
Ready = Callable[[], Awaitable[bool]]


async def http_ok(url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds."""
    host, _, port = url.split("/")[2].partition(":")
    try:
        # A cheap check first, because most of the time nothing listens yet.
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client,
            client.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


@dataclass
class Starter:
    """Starts the parts of one `up`."""

    stack: Stack
    programs: Programs
    supervisor: Supervisor
    console: Console
    parts: frozenset[str]
    running: dict[str, Running] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    done: dict[str, asyncio.Event] = field(default_factory=dict)

    def wants(self, part: str) -> bool:
        return part in self.parts and self.stack.is_embedded(part)

    async def start(self, spec: Spec, ready: Ready) -> None:
        """Starts the process, unless it is already running, and waits until it is ready.

        Raises UserError with the end of its log if it exits or is not ready in time.
        """
        begun = time.monotonic()
        record = self.running.get(spec.name)
        if record is not None and record.fingerprint != spec.fingerprint:
            await asyncio.to_thread(self.supervisor.stop, [record])
            record = None
        fresh = record is None
        if record is None:
            record = self._launch(spec)
        while not await ready():
            if not self.supervisor.alive(record):
                if not fresh:  # it was exiting when we listed the running processes
                    fresh, record = True, self._launch(spec)
                    continue
                end = self.supervisor.last_lines(spec.name)
                raise UserError(f"{spec.name} exited at its start:\n{end}\nFull log: makegood logs {spec.name}")
            if time.monotonic() - begun > _PATIENCE:
                end = self.supervisor.last_lines(spec.name, 5)
                raise UserError(f"{spec.name} is not ready after {_PATIENCE:.0f} s:\n{end}")
            await asyncio.sleep(0.1)
        if fresh:
            ports = ", ".join(str(p) for p in spec.ports.values())
            self.console.print(f"  {spec.name:<16} ready after {time.monotonic() - self.begun:4.1f} s  port {ports}")

    def _launch(self, spec: Spec) -> Running:
        try:
            return self.supervisor.start(spec)
        except OSError as error:
            raise disk_error(error, self.stack.home.state) from error

    async def kafka(self) -> None:
        port, controller = self.stack.ports.of("kafka"), self.stack.ports.of("kafka_controller")
        if self.wants(kafka.NAME):
            folder = self.stack.folder(kafka.NAME)
            spec = await asyncio.to_thread(kafka.spec, folder, self.programs, port, controller)
            await self.start(spec, lambda: kafka.answers(self.stack.kafka))
        prefix = self.stack.topic_prefix()
        try:
            await topics.provide(self.stack.kafka, topics.wanted(prefix))
        except (KafkaError, OSError) as error:
            raise UserError(f"Kafka at {self.stack.kafka} cannot be used: {error}") from error

    async def postgres(self) -> None:
        port = self.stack.ports.of("postgresql")
        if not self.wants(postgres.NAME):
            return
        spec = await asyncio.to_thread(postgres.spec, self.stack.folder(postgres.NAME), self.programs, port)
        await self.start(spec, lambda: postgres.answers(postgres.admin_url(port)))
        await postgres.make_databases(port)

    async def redis(self) -> None:
        if self.wants(redis.NAME):
            spec = redis.spec(self.stack.folder(redis.NAME), self.programs, self.stack.ports.of("redis"))
            await self.start(spec, lambda: redis.answers(self.stack.redis_url))

    async def mail(self) -> None:
        if self.wants("mail"):
            await asyncio.to_thread(signing_key, self.stack.home.identity)
            url = f"{self.stack.mail_url}/.well-known/jwks.json"
            await self.start(mail_spec(self.stack), lambda: http_ok(url))

    async def service(self, service: str, databases: asyncio.Task[None], rest: list[asyncio.Task[None]]) -> None:
        specs = service_specs(self.stack, service)
        await asyncio.gather(databases, *rest)
        async with asyncio.TaskGroup() as group:
            for spec in specs:
                group.create_task(self.process(spec))

    async def process(self, spec: Spec) -> None:
        """Starts one process of a service."""
        url = f"http://{LISTEN}:{list(spec.ports.values())[-1]}/readyz"
        await self.start(spec, lambda: http_ok(url))

    async def gateway(self, mail: asyncio.Task[None]) -> None:
        spec = await asyncio.to_thread(gateway_spec, self.stack, self.programs)
        await mail
        admin = self.stack.ports.of("gateway_admin")
        await self.start(spec, lambda: http_ok(f"http://{LISTEN}:{admin}/ready"))

    async def run(self) -> None:
        """Starts everything in the order of dependencies."""
        expected = {s.name for service in SERVICES for s in service_specs(self.stack, service)} | set(PARTS)
        surplus = [r for name, r in self.running.items() if name not in expected]
        await asyncio.to_thread(self.supervisor.stop, surplus)
        if "booking" in self.parts:
            await asyncio.to_thread(make_join_key, self.stack.home.join_links)
        if self.parts & {"mail", *SERVICES}:
            await asyncio.to_thread(make_event_keys, self.stack.home.event_keys)
        try:
            async with asyncio.TaskGroup() as group:
                # Only services need topics; `--only redis` needs no broker.
                needs_broker = bool(self.parts & {kafka.NAME, *SERVICES})
                if needs_broker:
                    group.create_task(self.kafka())
                databases = group.create_task(self.postgres())
                cache = group.create_task(self.redis())
                mail = group.create_task(self.mail())
                for service in SERVICES:
                    if service in self.parts:
                        # Not after the broker, which takes longest: meanwhile services load their code and migrate.
                        group.create_task(self.service(service, databases, [cache, mail]))
                if "gateway" in self.parts:
                    group.create_task(self.gateway(mail))
        except BaseExceptionGroup as group_error:
            raise first_error(group_error) from None


def check_ports(stack: Stack, parts: frozenset[str], running: Mapping[str, Running]) -> None:
    """Checks the ports of everything that will be started. Raises UserError with all ports that are taken."""
    # What holds a port now and belongs to this stack is left alone, or stopped before the port is needed.
    ours = {port for record in running.values() for port in record.ports.values()}
    wanted: dict[str, int] = {}
    for part in PARTS:
        if part not in parts or not stack.is_embedded(part):
            continue
        if part == postgres.NAME and part not in running:
            postgres.await_end(stack.folder(part))
        if part in SERVICES:
            for process in stack.processes(part):
                wanted |= stack.ports_of(process)
        else:
            wanted |= stack.ports.of_part(part)
    wanted = {what: port for what, port in wanted.items() if port not in ours}
    require_free(wanted, stack.choices.port_offset, running=bool(running))


def up(home: Home, choices: Choices, console: Console, only: frozenset[str] | None = None) -> Stack:
    """Starts the stack with these choices and returns it. Parts that already run this way are left alone. Raises UserError."""
    home.make()
    with exclusive(home.state / "lock", "up"):
        supervisor = Supervisor(home)
        running = supervisor.running()
        previous = Choices.remembered(home)
        if running and previous.port_offset != choices.port_offset:
            raise UserError(
                f"the stack is running with port offset {previous.port_offset}. Stop it first: makegood down"
            )
        stack = replace(Stack.of(home, choices), logins={})
        parts = only or frozenset(PARTS)
        supervisor.remove_remains()
        check_ports(stack, parts, running)
        programs = provide(home, console)
        choices.remember(home)
        starter = Starter(stack, programs, supervisor, console, parts, running)
        if stack.folder(postgres.NAME).parent != home.state:
            console.print(f"  PostgreSQL's files are in {stack.folder(postgres.NAME)}, because it cannot run as root")
            console.print(f"  and other users cannot access {home.state}")
        try:
            asyncio.run(starter.run())
        except OSError as error:
            raise disk_error(error, Path(home.state)) from error
    return stack


def down(home: Home, console: Console) -> None:
    """Stops the gateway, then the services, then the servers. Keeps the data."""
    home.make()
    with exclusive(home.state / "lock", "down"):
        supervisor = Supervisor(home)
        running = supervisor.running()
        servers = {kafka.NAME, postgres.NAME, redis.NAME, "mail"}
        first = [r for n, r in running.items() if n == "gateway"]
        second = [r for n, r in running.items() if n not in servers and n != "gateway"]
        third = [r for n, r in running.items() if n in servers]
        for records in (first, second, third):
            killed = supervisor.stop(records)
            for record in records:
                word = "killed (it did not stop in time)" if record.name in killed else "stopped"
                console.print(f"  {record.name:<16} {word}")
        for name in supervisor.remove_remains():
            console.print(f"  {name:<16} stopped (left over from an interrupted command)")
        if not running:
            console.print("nothing was running")
