"""What the attacks share."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from makegood_testkit.platform import Platform


@pytest_asyncio.fixture
async def elsewhere(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client at an address of its own, so that its bad tokens count for no other test (the gateway limits them)."""
    address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(2, 255)}"
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(transport=transport, base_url=platform.stack.base_url, timeout=40) as client:
        yield client
