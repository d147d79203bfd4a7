"""After a restore: what went out before it is not sent again, and counts as sent (decision 45)."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import pytest
from makegood_contracts.ids import new_id
from makegood_testkit.databases import as_login

from .conftest import START, NotificationsHarness

MISSED = "Your provider missed your scheduled session."


async def told_before(harness: NotificationsHarness, *, starts_at: datetime | None = START) -> str:
    """Notes that the member was told of the miss before a restore. Returns the delivery's id."""
    delivery_id = new_id()
    owner = await asyncpg.connect(as_login(harness.database.url, "owner"))
    try:
        await owner.execute(
            "INSERT INTO told_before VALUES ($1, $2, 'email', 'provider-missed', $3, $4, $5)",
            *(delivery_id, harness.member, harness.session_id, starts_at, START),
        )
    finally:
        await owner.close()
    return delivery_id


@pytest.mark.rule("NOTE-2")
@pytest.mark.parametrize("starts_at", [START, None])
async def test_what_was_told_before_a_restore_is_not_told_again(
    harness: NotificationsHarness, starts_at: datetime | None
) -> None:
    await harness.only_member()
    await harness.confirmed()
    delivery_id = await told_before(harness, starts_at=starts_at)
    async with harness.sending():
        await harness.happen(harness.missed())
        await harness.settled()
    assert MISSED not in [mail["Subject"] for mail in harness.inbox.mails]
    rows = await harness.rows(
        "SELECT id::text, status, sent_at FROM deliveries WHERE template = 'provider-missed' AND channel = 'email'"
    )
    assert rows == [(delivery_id, "sent", START)]
    assert await harness.rows("SELECT FROM told_before") == []


@pytest.mark.rule("NOTE-2")
async def test_the_same_message_about_another_time_or_session_is_sent(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    await told_before(harness, starts_at=START + timedelta(hours=1))
    async with harness.sending():
        await harness.happen(harness.missed())
        await harness.settled()
    assert [mail["Subject"] for mail in harness.inbox.mails].count(MISSED) == 1
    assert len(await harness.rows("SELECT FROM told_before")) == 1
