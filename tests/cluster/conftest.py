"""The chart on the cluster that KUBECONFIG names, if MAKEGOOD_TEST_CLUSTER=1 says that it is for tests."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from makegood_stack.config import Choices
from makegood_stack.home import Home, find_root
from makegood_stack.ports import SERVICES
from makegood_testkit.platform import Platform, free_offset

from .forwards import Forward, forwarded
from .kube import Cluster, Failed, namespace
from .release import Release
from .servers import JOBS, Servers

Figures = dict[str, float | str]
_FIGURES = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster for the tests, at no namespace."""
    if os.environ.get("MAKEGOOD_TEST_CLUSTER") != "1" or not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster for tests: set KUBECONFIG and MAKEGOOD_TEST_CLUSTER=1 (docs/how-to/kubernetes.md)")
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not in PATH")
    found = Cluster(Path(os.environ["KUBECONFIG"]))
    try:
        found.kubectl("get", "--raw", "/readyz", seconds=30)
    except Failed as failed:
        pytest.skip(f"the cluster does not answer: {failed}")
    return found


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    """What the tests measure. It is printed at the end."""
    return request.config.stash.setdefault(_FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for what, value in config.stash.get(_FIGURES, {}).items():
        terminalreporter.write_line(f"on the cluster: {what}: {value}")


@pytest.fixture(scope="session")
def servers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL, Kafka, Redis, mail and identity in a new namespace with the strictest Pod Security. It goes afterwards."""
    name = f"makegood-test-{secrets.token_hex(3)}"
    home = Home(root=find_root(), state=tmp_path_factory.mktemp("cluster") / ".makegood")
    made = Servers(cluster.within(name), home, free_offset(), os.environ.get("MAKEGOOD_TEST_IMAGE_TAG", "latest"))
    cluster.apply(namespace(name))
    try:
        made.start()
        with forwarded(
            Forward(made.cluster, "postgres", 5432, made.ports.of("postgresql")),
            Forward(made.cluster, "kafka", 9092, made.ports.of("kafka")),
            Forward(made.cluster, "mail", 8025, made.ports.of("mail")),
        ):
            yield made
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def release(servers: Servers, figures: Figures, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The chart, installed beside the servers. Each test leaves it running."""
    installed = Release(servers, tmp_path_factory.mktemp("release") / "values.yaml")
    installed.prepare()
    figures["seconds to install"] = round(installed.install(), 1)
    with forwarded(Forward(servers.cluster, "makegood-gateway", 80, servers.ports.of("gateway"))):
        installed.reachable()
        yield installed


@pytest_asyncio.fixture(loop_scope="session")
async def platform(release: Release) -> AsyncIterator[Platform]:
    """The platform on the cluster, for what the stories and the command line can do."""
    servers = release.servers
    choices = Choices(port_offset=servers.offset)
    choices.remember(servers.home)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{servers.ports.of('kafka')}"}
    for service in SERVICES:
        for job in JOBS:
            variable = "_".join(part.upper() for part in (service, job) if part) + "_DATABASE_URL"
            environment[variable] = servers.database_url_here(service, job)
    running = Platform(servers.home, choices, environment)
    try:
        yield running
    finally:
        await running.close()
