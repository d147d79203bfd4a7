"""Which real servers the tests use: containers if an engine answers, otherwise the embedded ones. The tests are the
same.

MAKEGOOD_TEST_SERVERS: `auto` (default), `containers`, `embedded`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

from makegood_stack import kafka, postgres, redis
from makegood_stack.embedded import EmbeddedServers, run_apart
from makegood_stack.ports import free_port

KAFKA_IMAGE = "apache/kafka:4.3.0"
POSTGRES_IMAGE = "postgres:17-bookworm"
REDIS_IMAGE = "redis:7-bookworm"
_IMAGES = (KAFKA_IMAGE, POSTGRES_IMAGE, REDIS_IMAGE)
_PULL_SECONDS = 90.0
_START_SECONDS = 90.0

Mode = Literal["containers", "embedded"]


def decide() -> Mode:
    """Containers or embedded. Takes a limited time. Raises RuntimeError if containers are required but not available."""
    mode = os.environ.get("MAKEGOOD_TEST_SERVERS", "auto")
    if mode not in ("auto", "containers", "embedded"):
        raise RuntimeError(f"MAKEGOOD_TEST_SERVERS={mode}: choose auto, containers or embedded")
    if mode == "embedded":
        return "embedded"
    obstacle = _obstacle()
    if obstacle is None:
        return "containers"
    if mode == "containers":
        raise RuntimeError(f"MAKEGOOD_TEST_SERVERS=containers, but {obstacle}")
    return "embedded"


def _obstacle() -> str | None:
    """Why containers cannot be used. None if they can."""
    try:
        import docker  # type: ignore[import-untyped]
        from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
    except ImportError as error:
        return str(error)
    try:
        client = docker.from_env(timeout=5)
    except (DockerException, OSError) as error:
        return f"no engine answers ({error})"
    try:
        client.ping()
        missing = []
        for image in _IMAGES:
            try:
                client.images.get(image)
            except ImageNotFound:
                missing.append(image)
        return _pull(missing) if missing else None
    except (DockerException, OSError) as error:
        return f"the engine does not answer ({error})"
    finally:
        client.close()


def _pull(images: list[str]) -> str | None:
    """Pulls in a thread that is abandoned if it takes too long, so that a slow registry does not delay the tests."""
    import docker

    failures: list[str] = []

    def work() -> None:
        try:
            with contextlib.closing(docker.from_env(timeout=int(_PULL_SECONDS))) as client:
                for image in images:
                    client.images.pull(image)
        except Exception as error:
            failures.append(str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PULL_SECONDS)
    if thread.is_alive():
        return f"{', '.join(images)} did not arrive in {_PULL_SECONDS:.0f} s"
    return failures[0] if failures else None


class Servers(Protocol):
    """The shared servers of a test session. Each is started at its first use."""

    def kafka(self) -> str: ...

    def postgres(self) -> str: ...

    def redis(self) -> str: ...


class FromEmbedded:
    """Shared servers from packages."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._servers = servers

    def kafka(self) -> str:
        return self._servers.kafka().url

    def postgres(self) -> str:
        return self._servers.postgres().url

    def redis(self) -> str:
        return self._servers.redis().url


class FromContainers:
    """Shared servers in containers, which end with the stack."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def _start(
        self, image: str, port: int, host_port: int, command: str = "", in_memory: str = "", **environment: str
    ) -> str:
        """Starts a container. `in_memory`: a folder in the container that is kept in memory."""
        from testcontainers.core.container import DockerContainer

        container: Any = DockerContainer(image).with_bind_ports(port, host_port)
        if in_memory:
            container = container.with_tmpfs_mount(in_memory)
        for name, value in environment.items():
            container = container.with_env(name, value)
        if command:
            container = container.with_command(command)
        self._stack.enter_context(container)
        return str(container.get_container_host_ip()).replace("localhost", "127.0.0.1")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + _START_SECONDS
        while not ready():
            if time.monotonic() > until:
                raise RuntimeError(f"the container of {what} is not ready after {_START_SECONDS:.0f} s")
            time.sleep(0.1)

    def kafka(self) -> str:
        port = free_port()
        host = _engine_host()
        self._start(
            KAFKA_IMAGE,
            9092,
            port,
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_LISTENERS="PLAINTEXT://:9092,CONTROLLER://localhost:9093",
            KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{host}:{port}",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="8",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
            KAFKA_LOG_INDEX_SIZE_MAX_BYTES="1048576",
            KAFKA_HEAP_OPTS="-Xms192m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        )
        bootstrap = f"{host}:{port}"
        self._wait("Kafka", lambda: run_apart(kafka.answers(bootstrap)))
        return bootstrap

    def postgres(self) -> str:
        port = free_port()
        settings = "postgres -c fsync=off -c full_page_writes=off -c max_connections=200 -c jit=off -c timezone=UTC"
        # Each new test database has hundreds of files.
        data = "/var/lib/postgresql/data"
        host = self._start(POSTGRES_IMAGE, 5432, port, settings, data, POSTGRES_PASSWORD=postgres.PASSWORD)
        url = f"postgresql://{postgres.SUPERUSER}:{postgres.PASSWORD}@{host}:{port}/postgres"
        self._wait("PostgreSQL", lambda: run_apart(postgres.answers(url)))
        return url

    def redis(self) -> str:
        port = free_port()
        secret = secrets.token_hex(16)
        host = self._start(REDIS_IMAGE, 6379, port, f"redis-server --save '' --appendonly no --requirepass {secret}")
        url = f"redis://:{secret}@{host}:{port}/0"
        self._wait("Redis", lambda: run_apart(redis.answers(url)))
        return url


def _engine_host() -> str:
    from testcontainers.core.docker_client import DockerClient

    return str(DockerClient().host()).replace("localhost", "127.0.0.1")


def _without_reaper_if_missing() -> None:
    """The cleaner of testcontainers is also an image. Without it, containers are stopped only at the end of the
    session.
    """
    import docker
    from docker.errors import DockerException

    if "TESTCONTAINERS_RYUK_DISABLED" in os.environ:
        return
    try:
        with contextlib.closing(docker.from_env(timeout=5)) as client:
            client.images.get(os.environ.get("RYUK_CONTAINER_IMAGE", "testcontainers/ryuk:0.8.1"))
    except DockerException:
        from testcontainers.core.config import testcontainers_config

        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        testcontainers_config.ryuk_disabled = True


@contextlib.contextmanager
def servers(mode: Mode) -> Iterator[Servers]:
    """The shared servers of a session."""
    if mode == "embedded":
        with EmbeddedServers() as embedded:
            yield FromEmbedded(embedded)
        return
    _without_reaper_if_missing()
    with contextlib.ExitStack() as stack:
        yield FromContainers(stack)
