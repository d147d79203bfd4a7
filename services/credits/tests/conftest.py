"""Credits on a real PostgreSQL, with a clock that stands still until it is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from makegood_credits.bootstrap import bootstrap
from makegood_credits.settings import CreditsSettings

from .credit_api import Api
from .credit_building import NOW
from .credits_harness import CreditsHarness
from .payment_shop import shop, stripe_shop  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from makegood_testkit.service import MakeHarness


@pytest_asyncio.fixture
async def harness(make_harness: MakeHarness) -> CreditsHarness:
    """The service over a fresh database."""
    return await make_harness("credits", bootstrap, CreditsSettings, NOW, CreditsHarness)


@pytest.fixture
def api(harness: CreditsHarness) -> Api:
    """Its API."""
    return Api(harness)
