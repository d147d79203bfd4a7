"""Servers of one's own, for tests: the same programs as `makegood up`, on free ports, in a folder that goes away."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from makegood_chassis.kafka_connection import KafkaConnection
from makegood_devtools.errors import UserError
from rich.console import Console

from makegood_stack import kafka, postgres, redis
from makegood_stack.home import Home
from makegood_stack.packages import Programs, provide
from makegood_stack.ports import LISTEN, free_port, free_ports
from makegood_stack.processes import Running, Spec, Supervisor

_PATIENCE = 60.0
T = TypeVar("T")
Kind = Literal["kafka", "postgresql", "redis"]


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end in a thread of its own, whether or not a loop runs in this one."""
    result: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


@dataclass
class Server:
    """One server that a test may stop, kill and start again; address and data stay the same."""

    kind: Kind
    url: str
    port: int
    supervisor: Supervisor
    spec: Callable[[], Spec]
    answers: Callable[[], Awaitable[bool]]
    record: Running | None = None

    def start(self) -> None:
        """Starts it and waits until it answers. Raises UserError if it does not."""
        spec = self.spec()
        self.record = self.supervisor.start(spec, die_with_parent=True)
        until = time.monotonic() + _PATIENCE

        async def wait() -> None:
            while not await self.answers():
                if self.record is None or not self.supervisor.alive(self.record) or time.monotonic() > until:
                    raise UserError(f"{self.kind} did not start:\n{self.supervisor.last_lines(spec.name)}")
                await asyncio.sleep(0.03)

        run_apart(wait())

    def stop(self) -> None:
        """Ends it in order."""
        if self.record is not None:
            self.supervisor.stop([self.record])
            self.record = None

    def kill(self) -> None:
        """SIGKILL, and its children with it."""
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGKILL)
            self.stop()

    def pause(self) -> None:
        """SIGSTOP: the server hangs; `resume` lets it go on."""
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGSTOP)

    def resume(self) -> None:
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGCONT)


class EmbeddedServers:
    """Makes servers; all of them end, and their data goes, with the `with` block."""

    def __init__(self, home: Home | None = None, *, durable: bool = False) -> None:
        self._project = home or Home.find()
        self._durable = durable
        self._programs: Programs | None = None
        self._folder: Path | None = None
        self._servers: list[Server] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _place(self) -> tuple[Programs, Home]:
        """The programs, and a folder of the next server's own."""
        if self._programs is None or self._folder is None:
            self._project.make()
            self._programs = provide(self._project, Console(stderr=True))
            self._folder = Path(tempfile.mkdtemp(prefix="makegood-test-"))
            # PostgreSQL started by root runs as somebody else, who has to get in.
            self._folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
        self._count += 1
        home = Home(self._project.root, self._folder / str(self._count))
        home.make()
        return self._programs, home

    def _add(self, server: Server) -> Server:
        self._servers.append(server)
        server.start()
        return server

    def kafka(self, protection: kafka.Protection | None = None, login: KafkaConnection | None = None) -> Server:
        """A broker; `url` is its bootstrap address. One that is protected is asked whether it answers with `login`."""
        programs, home = self._place()
        port, controller = free_ports(2)
        bootstrap = f"{LISTEN}:{port}"
        asked = replace(login, servers=bootstrap) if login else bootstrap
        return self._add(
            Server(
                "kafka",
                bootstrap,
                port,
                Supervisor(home),
                lambda: kafka.spec(home.state / "kafka", programs, port, controller, protection),
                lambda: kafka.answers(asked),
            )
        )

    def postgres(self, settings: Mapping[str, str] | None = None) -> Server:
        """A PostgreSQL server; `url` is its superuser's. `settings`: those of the server that shall differ."""
        programs, home = self._place()
        port = free_port()
        url = postgres.admin_url(port)
        return self._add(
            Server(
                "postgresql",
                url,
                port,
                Supervisor(home),
                lambda: postgres.spec(home.postgres_folder(), programs, port, durable=self._durable, changes=settings),
                lambda: postgres.answers(url),
            )
        )

    def redis(self) -> Server:
        """A Redis server."""
        programs, home = self._place()
        port = free_port()
        folder = home.state / "redis"
        url = redis.url(folder, port)
        return self._add(
            Server(
                "redis",
                url,
                port,
                Supervisor(home),
                lambda: redis.spec(folder, programs, port),
                lambda: redis.answers(url),
            )
        )

    def close(self) -> None:
        """Ends everything and removes the data."""
        for server in self._servers:
            server.resume()
            server.kill()
        self._servers.clear()
        if self._folder is not None:
            for number in range(1, self._count + 1):
                place = Home(self._project.root, self._folder / str(number)).postgres_folder()
                if self._folder not in place.parents:
                    shutil.rmtree(place.parent, ignore_errors=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self._programs = None
