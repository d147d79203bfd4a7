"""One answer in ten is lost: of PostgreSQL, Kafka, the mail server, WhatsApp and the payment provider. What was asked for is done,
and its caller sees a time-out (REL-5). Nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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

LONGEST = 180
"""Seconds of load after which each kind of answer must have been lost. A tenth of that is usual."""


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


async def tell_by_whatsapp(platform: Platform, load: MixedLoad) -> None:
    """The members of the load are told by WhatsApp, too."""
    for number, each in enumerate(load.population.members):
        contact = {
            "name": each.subject,
            "email": f"{each.subject}@example.com",
            "phone": f"+49 157 559 {number:05}",
            "time_zone": "UTC",
            "channels": {"email": True, "whatsapp": True, "chat": True},
        }
        await platform.person("member", each.subject).put(f"/v1/people/{each.subject}/contact", contact)


@dataclass
class WhatsApp:
    """What WhatsApp took: the delivery of each message. Its list shows only the last ones, so it is read now and then."""

    platform: Platform
    deliveries: dict[str, str] = field(default_factory=dict)

    async def read(self) -> None:
        async with httpx.AsyncClient(base_url=self.platform.stack.mail_url, trust_env=False, timeout=30) as http:
            listed = (await http.get("/api/v1/whatsapp")).json()["messages"]
        self.deliveries |= {one["ID"]: one["Reference"] for one in listed}

    async def keep_reading(self) -> None:
        """Until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(1)


@pytest.mark.extended
@pytest.mark.rule("REL-5", "NOTE-2", "CRED-6")
async def test_what_is_done_without_an_answer_is_done_once(losing: LostAnswers, platform: Platform) -> None:
    noted = await CommittedEvents.noting(platform)
    load = await MixedLoad.prepare(platform, members=12, providers=4)
    await tell_by_whatsapp(platform, load)
    traffic, whatsapp = await Traffic.prepare(platform), WhatsApp(platform)
    beside = [asyncio.create_task(traffic.run()), asyncio.create_task(whatsapp.keep_reading())]
    try:
        with losing.losing():
            beside.append(asyncio.create_task(load.run(LONGEST + 60)))
            async with asyncio.timeout(LONGEST):
                while len(load.ledger.booked) <= 50 or losing.counts(platform.home.logs).keys() != ERRORS.keys():  # noqa: ASYNC110
                    await asyncio.sleep(0.5)  # the processes tell only their logs
            load.stop()
            await beside.pop()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
    await drained(platform)
    await until_leases_end(platform)
    assert await lost(platform, traffic) == []
    assert await verify(platform, load) == []
    assert (await noted.compare()).wrong(allowed_duplicates=1) == []
    await whatsapp.read()
    assert set(Counter(whatsapp.deliveries.values()).values()) == {1}
    await platform.close()
