"""A table that was divided by time, as docs/how-to/scaling.md says, works as before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from makegood_testkit.divided import divide

from .conftest import NotificationsHarness

_WHERE = "SELECT DISTINCT tableoid::regclass::text FROM deliveries ORDER BY 1"


async def test_deliveries_in_partitions_are_sent_once_and_in_order(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    positions = await harness.rows("SELECT max(position) FROM deliveries")
    await divide(
        harness.database.direct_url, "notifications", "deliveries", datetime.now(UTC) + timedelta(milliseconds=1)
    )

    missed = await harness.happen(harness.missed())
    await harness.handle(*missed)  # comes again
    async with harness.sending():
        await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert len(harness.inbox.mails) == 1, "about the miss; what was told before it is no longer true"
    assert await harness.rows(_WHERE) == [("deliveries_before",), ("deliveries_next",)]
    assert (
        await harness.rows("SELECT min(position) FROM deliveries WHERE tableoid = 'deliveries_next'::regclass")
        > positions
    )
