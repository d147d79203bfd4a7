"""The table of metrics is what processes serve, in every role."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from makegood_stack.ports import LISTEN, SERVICES, free_ports
from makegood_testkit.metrics_table import definitions, render
from makegood_testkit.waiting import until
from prometheus_client.parser import text_string_to_metric_families

_ROLES = ("serve", "work")
"""`all` is both, and `migrate` ends by itself."""
_NOWHERE = f"{LISTEN}:1"


@pytest.fixture(scope="module")
def served() -> Iterator[dict[tuple[str, str], str]]:
    """What a process of each service serves in each role. Their servers are away: metrics are served all the same."""
    kinds = [(service, role) for service in SERVICES for role in _ROLES]
    ports = iter(free_ports(2 * len(kinds)))
    with ExitStack() as stack:
        started = {kind: _start(stack, *kind, next(ports), next(ports)) for kind in kinds}
        yield {kind: _metrics(*one) for kind, one in started.items()}


def _start(stack: ExitStack, service: str, role: str, port: int, probes: int) -> tuple[subprocess.Popen[bytes], str]:
    settings = {
        "MAKEGOOD_ENVIRONMENT": "development",
        "KAFKA_BOOTSTRAP_SERVERS": _NOWHERE,
        "REDIS_URL": f"redis://{_NOWHERE}/0",
        f"{service.upper()}_DATABASE_URL": f"postgresql://nobody@{_NOWHERE}/none",
        "DATA_KEYS": f"test:{'A' * 43}=",
        "JWKS_URL": f"http://{_NOWHERE}/",
        "HTTP_HOST": LISTEN,
        "HTTP_PORT": str(port),
        "PROBE_PORT": str(probes),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"makegood_{service}", role],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process, f"http://{LISTEN}:{probes}/metrics"


def _metrics(process: subprocess.Popen[bytes], address: str) -> str:
    """As soon as the process serves them, however long eight of them take to start here."""
    found: list[str] = []

    def answers() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with exit code {process.returncode}"
        try:
            found.append(httpx.get(address, timeout=60, trust_env=False).raise_for_status().text)
        except httpx.TransportError:
            return False
        return True

    until(answers, seconds=600, what=address)
    return found[0]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("role", _ROLES)
def test_the_table_has_what_a_process_serves_and_nothing_else(
    served: dict[tuple[str, str], str], service: str, role: str
) -> None:
    families = list(text_string_to_metric_families(served[service, role]))
    names = {f"{each.name}_total" if each.type == "counter" else each.name: each.type for each in families}
    del names["target_info"]
    table = {each.name: each.kind for each in (*definitions(""), *definitions(service))}
    assert names == table


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_says_which_service_and_role_it_is(served: dict[tuple[str, str], str], service: str) -> None:
    for role in _ROLES:
        assert f'target_info{{makegood_role="{role}",service_name="makegood-{service}"}} 1.0' in served[service, role]


def test_the_page_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == render(), "run: python -m makegood_testkit.metrics_table > docs/metrics.md"
