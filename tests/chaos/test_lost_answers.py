"""One answer in ten is lost: of PostgreSQL, Kafka, the mail server, WhatsApp and the payment provider. What was asked for is done,
and its caller sees a time-out (REL-5). Nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import pytest
from makegood_testkit.chaos import MixedLoad, drained, verify
from makegood_testkit.committed import CommittedEvents
from makegood_testkit.faulty import faulty_platform
from makegood_testkit.folders import temporary_folder
from makegood_testkit.lost_answers import ERRORS, LostAnswers
from makegood_testkit.platform import Platform
from makegood_testkit.suffering import Traffic, lost

SECONDS = 25


@pytest.fixture
def losing(folder: Path) -> LostAnswers:
    return LostAnswers(folder, share=0.1, seed=5)


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as made:
        yield made


@pytest.fixture
def platform(losing: LostAnswers, folder: Path) -> Iterator[Platform]:
    with faulty_platform(folder, **losing.environment) as faulty:
        yield faulty.platform


async def until_leases_end(platform: Platform) -> None:
    """A message whose lease was committed without an answer waits until the lease ends. That takes 90 s, so it ends now."""
    owner = await asyncpg.connect(platform.stack.database_url("notifications", "owner"))
    try:
        await owner.execute("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
    finally:
        await owner.close()


async def whatsapp_messages(platform: Platform) -> Counter[str]:
    """How often WhatsApp took each delivery."""
    async with httpx.AsyncClient(base_url=platform.stack.mail_url, trust_env=False) as http:
        listed = (await http.get("/api/v1/whatsapp")).json()
    return Counter(one["Reference"] for one in listed["messages"])


@pytest.mark.extended
@pytest.mark.rule("REL-5", "NOTE-2", "CRED-6")
async def test_what_is_done_without_an_answer_is_done_once(losing: LostAnswers, platform: Platform) -> None:
    noted = await CommittedEvents.noting(platform)
    load = await MixedLoad.prepare(platform, members=12, providers=4)
    traffic = await Traffic.prepare(platform)
    with losing.losing():
        trading = asyncio.create_task(traffic.run())
        await load.run(SECONDS)
        trading.cancel()
        with suppress(asyncio.CancelledError):
            await trading
    await drained(platform)
    await until_leases_end(platform)
    assert await lost(platform, traffic) == []
    assert await verify(platform, load) == []
    assert (await noted.compare()).wrong(allowed_duplicates=1) == []
    assert set((await whatsapp_messages(platform)).values()) == {1}
    assert losing.counts(platform.home.logs).keys() == ERRORS.keys(), "each kind of answer was lost"
    assert len(load.ledger.booked) > 50
    await platform.close()
