"""The availability service on a real PostgreSQL, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from makegood_availability.bootstrap import bootstrap
from makegood_availability.settings import AvailabilitySettings

from .harness import NOW, AvailabilityHarness

if TYPE_CHECKING:
    from makegood_testkit.service import MakeHarness

Client = Callable[[str, str], httpx.AsyncClient]


@pytest_asyncio.fixture
async def harness(make_harness: MakeHarness) -> AvailabilityHarness:
    return await make_harness("availability", bootstrap, AvailabilitySettings, NOW, AvailabilityHarness)


@pytest.fixture
def client(harness: AvailabilityHarness) -> Client:
    """`client("member", "anna")` → an HTTP client of the service with that person's token."""
    return harness.client
