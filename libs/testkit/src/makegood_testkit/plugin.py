"""The pytest plugin: fixtures for real servers, and the report of rules without a test.

Session: `server_mode`, `kafka_servers` (bootstrap address), `postgres_admin` (superuser's address), `redis_url`,
`databases`, `identity` (signs tokens). Test: `database_factory`, `make_harness` (one service, see service.py),
`topic_prefix`, `make_topics`, `own_servers`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from makegood_testkit import rules

if TYPE_CHECKING:
    from makegood_stack.embedded import EmbeddedServers

    from makegood_testkit.databases import Databases, Prepare
    from makegood_testkit.identity import Identity
    from makegood_testkit.servers import Mode, Servers
    from makegood_testkit.service import MakeHarness

DatabaseFactory = Callable[..., Awaitable[str]]
TopicMaker = Callable[..., Awaitable[None]]
_TEST_PARTITIONS = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    rules.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(rules.RulesReport(config), "makegood-rules")
    # A property must not fail because the machine is busy with servers.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow tests come first, then those of the whole platform: if several processes run them, these share the rest.

    The platform stops once the tests of its package are done, so that it costs the rest nothing.
    """
    items.sort(key=lambda item: ("slow" not in item.keywords, "platform" not in getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def server_mode() -> Mode:
    """`containers` or `embedded`; see MAKEGOOD_TEST_SERVERS."""
    from makegood_testkit.servers import decide

    return decide()


@pytest.fixture(scope="session")
def _servers(server_mode: Mode) -> Iterator[Servers]:
    from makegood_testkit.servers import servers

    with servers(server_mode) as shared:
        yield shared


@pytest.fixture(scope="session")
def kafka_servers(_servers: Servers) -> str:
    """The bootstrap address of the session's broker. Use `topic_prefix`: other tests share it."""
    return _servers.kafka()


@pytest.fixture(scope="session")
def postgres_admin(_servers: Servers) -> str:
    """The superuser's address of the session's PostgreSQL. Use `database_factory` for a separate database."""
    return _servers.postgres()


@pytest.fixture(scope="session")
def redis_url(_servers: Servers) -> str:
    """The session's Redis."""
    return _servers.redis()


@pytest.fixture(scope="session")
def databases(postgres_admin: str) -> Databases:
    """Creates databases that outlive one test."""
    from makegood_testkit.databases import Databases

    return Databases(postgres_admin)


@pytest_asyncio.fixture
async def database_factory(databases: Databases) -> AsyncIterator[DatabaseFactory]:
    """`await database_factory("booking")` → address of a fresh migrated database, dropped after the test.

    `await database_factory("name", prepare)` prepares the template of that name with `prepare(url)` instead.
    """
    made: list[str] = []

    async def make(name: str, prepare: Prepare | None = None) -> str:
        url = await databases.make(name, prepare)
        made.append(url)
        return url

    yield make
    for url in made:
        await databases.drop(url)


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Signs the tokens of `make_harness`'s clients."""
    from makegood_testkit.identity import Identity

    return Identity(tmp_path_factory.mktemp("identity") / "jwks.json")


@pytest_asyncio.fixture
async def make_harness(database_factory: DatabaseFactory, identity: Identity) -> AsyncIterator[MakeHarness]:
    """`await make_harness("booking", bootstrap, BookingSettings, NOW, BookingHarness)` → one service on a real PostgreSQL."""
    from makegood_testkit.service import MakeHarness

    made = MakeHarness(database_factory, identity)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def make_topics(kafka_servers: str) -> AsyncIterator[TopicMaker]:
    """`await make_topics(["a", "b"], partitions=3)` creates topics that are deleted after the test."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from makegood_stack.kafka import make_topics as create

    made: list[str] = []

    async def make(names: Iterable[str], partitions: int = _TEST_PARTITIONS) -> None:
        wanted = list(names)
        await create(kafka_servers, [NewTopic(name, partitions, 1) for name in wanted])
        made.extend(wanted)

    yield make
    if made:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
        await admin.start()
        try:
            await admin.delete_topics(made)
        finally:
            await admin.close()


@pytest_asyncio.fixture
async def topic_prefix(make_topics: TopicMaker) -> str:
    """A prefix for this test only (KAFKA_TOPIC_PREFIX). Every topic of the contracts exists with it, with 3 partitions
    each.
    """
    from makegood_contracts.topics import TOPICS

    prefix = f"t{uuid4().hex[:10]}."
    for partitions in {min(t.partitions, _TEST_PARTITIONS) for t in TOPICS}:
        names = [prefix + t.name for t in TOPICS if min(t.partitions, _TEST_PARTITIONS) == partitions]
        await make_topics(names, partitions=partitions)
    return prefix


@pytest.fixture
def own_servers() -> Iterator[EmbeddedServers]:
    """Servers for this test only, which may stop, kill and start them again: `own_servers.kafka()`, `.postgres()`,
    `.redis()`.

    Each returns a `Server` with `url`, `start()`, `stop()`, `kill()`, `pause()`, `resume()`. Data is durable.
    """
    from makegood_stack.embedded import EmbeddedServers

    with EmbeddedServers(durable=True) as servers:
        yield servers
