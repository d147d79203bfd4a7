"""The running gateway that the tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1] / "deploy" / "gateway")]

from gateway_harness import Gateway, running_gateway  # noqa: E402


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway that most tests share. Its limits are the product's."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), route_timeout=1.0, connect_tries=3) as running:
        yield running


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as session:
        yield session
