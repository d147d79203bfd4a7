"""What alerts look at is measured, whatever else of a process fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from makegood_chassis import metrics
from makegood_chassis.components import supervise
from makegood_chassis.database import Database
from makegood_chassis.health import Health
from makegood_chassis.messaging import maintenance
from makegood_chassis.messaging.maintenance import Maintenance, measure
from makegood_testkit.waiting import eventually


async def test_the_age_of_the_outbox_is_not_what_it_was_before_other_upkeep_failed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_MEASURE_EVERY", 0.05)
    monkeypatch.setattr(maintenance, "_SEEN_EVERY", 0.05)
    upkeep = Maintenance(database, process="one", role="all", development=False, inbox_retention=timedelta(days=14))
    health, stop = Health(), asyncio.Event()
    async with database.reading() as queries:
        await queries.execute(
            "INSERT INTO outbox (topic, key, headers, payload, created_at) VALUES ('t', 'k', '{}', '', now() - interval '1 hour')"
        )
    running = [
        asyncio.create_task(supervise("maintenance", upkeep.run, health, stop)),
        asyncio.create_task(supervise("measures", partial(measure, database), health, stop)),
    ]
    await eventually(lambda: metrics.OUTBOX_AGE._value.get() >= 3600)
    async with database.reading() as queries:
        await queries.execute("ALTER TABLE processes RENAME TO renamed")
    await eventually(health.problems)
    async with database.reading() as queries:
        await queries.execute("DELETE FROM outbox")
    await eventually(lambda: metrics.OUTBOX_AGE._value.get() == 0)
    assert "measures" not in str(health.problems())
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
