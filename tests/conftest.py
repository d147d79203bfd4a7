"""The platform that the stories share: started once, on the servers that all suites use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from makegood_stack.ports import SERVICES
from makegood_testkit.collector import Collector
from makegood_testkit.databases import Databases, settings_of
from makegood_testkit.platform import Cast, Platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at everything that the stories left behind comes last."""
    items.sort(key=lambda item: "last" in item.keywords)


@pytest.fixture(scope="session")
def traces() -> Iterator[Collector]:
    """The collector that every span of the stories' platform goes to."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def platform_servers(kafka_servers: str, redis_url: str, traces: Collector) -> dict[str, str]:
    """The servers that the platform uses besides PostgreSQL, as settings."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_servers,
        "REDIS_URL": redis_url,
        "KAFKA_TOPIC_PREFIX": "stories.",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
        "JWKS_REFRESH": "2",
    }


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def platform(
    platform_servers: dict[str, str], databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """The whole platform behind its gateway. Its clock only ever moves forward; stories make people of their own."""
    urls = {service: await databases.make(service) for service in SERVICES}
    settings = {name: value for service, url in urls.items() for name, value in settings_of(service, url).items()}
    state: Path = tmp_path_factory.mktemp("platform", numbered=True)
    running = Platform.at(state, {**platform_servers, **settings})
    await asyncio.to_thread(running.up)
    try:
        yield running
    finally:
        await running.close()
        await asyncio.to_thread(running.down)
        for url in urls.values():
            await databases.drop(url)


@pytest_asyncio.fixture
async def cast(platform: Platform) -> Cast:
    """A member on out-of-pocket-4 and a provider who works around the clock, in a room."""
    return await platform.cast()
