"""Fixtures of the booking service's tests."""

from __future__ import annotations

import pytest_asyncio
from makegood_booking.bootstrap import bootstrap
from makegood_booking.settings import BookingSettings
from makegood_testkit.service import MakeHarness

from .examples import NOW
from .harness import BookingHarness


@pytest_asyncio.fixture
async def harness(make_harness: MakeHarness) -> BookingHarness:
    return await make_harness("booking", bootstrap, BookingSettings, NOW, BookingHarness)
