"""What the guide for scaling says about a partitioned inbox works on a database of today."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
from makegood_contracts.ids import new_id
from makegood_testkit.databases import as_owner, migrate_service
from makegood_testkit.plugin import DatabaseFactory

GUIDE = Path(__file__).parents[2] / "docs/how-to/scaling.md"
HANDLE = "INSERT INTO inbox (event_id) VALUES ($1) ON CONFLICT DO NOTHING"


async def test_an_inbox_that_is_partitioned_later_knows_the_events_of_before(database_factory: DatabaseFactory) -> None:
    statements = re.search(r"```sql\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    bound = re.search(r"`(SELECT \(lpad\(.*?)`", GUIDE.read_text())
    assert statements is not None
    assert bound is not None
    url = await database_factory("booking")
    before, after = str(new_id()), str(new_id())
    async with as_owner(url) as owner:
        await owner.execute(HANDLE, before)
        await owner.execute(statements[1].replace("BOUND", str(await owner.fetchval(bound[1]))))
    migrate_service("booking")(url)
    service = await asyncpg.connect(url)
    try:
        assert [await service.execute(HANDLE, each) for each in (before, after, after)] == [
            "INSERT 0 0",
            "INSERT 0 1",
            "INSERT 0 0",
        ]
    finally:
        await service.close()
