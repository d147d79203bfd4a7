"""Servers for tests: the programs of `makegood up`, on free ports and in a temporary folder."""

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

import psutil
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_devtools.errors import UserError
from rich.console import Console

from makegood_stack import kafka, postgres, redis
from makegood_stack.home import Home
from makegood_stack.packages import Programs, provide
from makegood_stack.ports import LISTEN, free_port, free_ports
from makegood_stack.processes import Running, Spec, Supervisor

_PATIENCE = 60.0
_PREFIX = "makegood-test-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it get names that nobody can know before  # nosec B108
_ENOUGH_MEMORY = 2 << 30
"""Bytes that must be free in memory before a server's data go there."""
T = TypeVar("T")
Kind = Literal["kafka", "postgresql", "redis"]


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in another thread, because this one may already run an event loop."""
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
    """A server that a test can stop, kill and start again with the same address and data."""

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
        """Stops it gracefully."""
        if self.record is not None:
            self.supervisor.stop([self.record])
            self.record = None

    def kill(self) -> None:
        """Kills it and its children with SIGKILL."""
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGKILL)
            self.stop()

    def pause(self) -> None:
        """Makes the server hang with SIGSTOP, until `resume`."""
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGSTOP)

    def resume(self) -> None:
        if self.record is not None:
            self.supervisor.signal(self.record, signal.SIGCONT)


class EmbeddedServers:
    """Makes servers. They are stopped and their data is deleted at the end of the `with` block."""

    def __init__(self, home: Home | None = None, *, durable: bool = False) -> None:
        self._project = home or Home.find()
        self._durable = durable
        self._programs: Programs | None = None
        self._folder: Path | None = None
        self._servers: list[Server] = []
        self._in_memory: list[Path] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def programs(self) -> Programs:
        """The programs of the servers."""
        return self._place()[0]

    def _place(self) -> tuple[Programs, Home]:
        """The programs, and a new folder for the next server."""
        if self._programs is None or self._folder is None:
            self._project.make()
            self._programs = provide(self._project, Console(stderr=True))
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # If root starts PostgreSQL, it runs as another user, who needs access.
            self._folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
        self._count += 1
        home = Home(self._project.root, self._folder / str(self._count))
        home.make()
        return self._programs, home

    def _add(self, server: Server) -> Server:
        self._servers.append(server)
        server.start()
        return server

    def kafka(
        self,
        protection: kafka.Protection | None = None,
        login: KafkaConnection | None = None,
        settings: Mapping[str, object] | None = None,
        port: int | None = None,
    ) -> Server:
        """A broker; `url` is its bootstrap address. A protected one is checked with `login`. `settings` override its
        settings. `port`: where it listens, if not at a free port."""
        programs, home = self._place()
        free, controller = free_ports(2)
        port = port or free
        bootstrap = f"{LISTEN}:{port}"
        asked = replace(login, servers=bootstrap) if login else bootstrap
        return self._add(
            Server(
                "kafka",
                bootstrap,
                port,
                Supervisor(home),
                lambda: kafka.spec(home.state / "kafka", programs, port, controller, protection, settings),
                lambda: kafka.answers(asked),
            )
        )

    def postgres(self, settings: Mapping[str, str] | None = None) -> Server:
        """A PostgreSQL server; `url` has its superuser's login. `settings` override server settings."""
        programs, home = self._place()
        port = free_port()
        url = postgres.admin_url(port)
        folder = self._postgres_folder(home)
        return self._add(
            Server(
                "postgresql",
                url,
                port,
                Supervisor(home),
                lambda: postgres.spec(folder, programs, port, durable=self._durable, changes=settings),
                lambda: postgres.answers(url),
            )
        )

    def _postgres_folder(self, home: Home) -> Path:
        """The folder for its data. It is in memory if the data need not last, because each new test database has
        hundreds of files.
        """
        if self._durable or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ENOUGH_MEMORY:
            return home.postgres_folder()
        for left in _MEMORY.glob(f"{_PREFIX}*"):  # by a test run that was killed
            if not psutil.pid_exists(int(left.name.removeprefix(_PREFIX).partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)
        place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_MEMORY))
        place.chmod(0o755 if os.geteuid() == 0 else 0o700)
        self._in_memory.append(place)
        return place / "postgresql"

    def redis(self, services: Mapping[str, str] | None = None) -> Server:
        """A Redis server. `services`: passwords of services with a login of their own."""
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
                lambda: redis.spec(folder, programs, port, services),
                lambda: redis.answers(url),
            )
        )

    def close(self) -> None:
        """Stops all servers and deletes their data."""
        for server in self._servers:
            server.resume()
            server.kill()
        self._servers.clear()
        for place in self._in_memory:
            shutil.rmtree(place, ignore_errors=True)
        self._in_memory.clear()
        if self._folder is not None:
            for number in range(1, self._count + 1):
                place = Home(self._project.root, self._folder / str(number)).postgres_folder()
                if self._folder not in place.parents:
                    shutil.rmtree(place.parent, ignore_errors=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self._programs = None
