"""After a restore: what went out before it is not sent again, and counts as sent (decision 45)."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import pytest
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id
from makegood_notifications.handlers import commands
from makegood_testkit.databases import as_login

from .conftest import START, NotificationsHarness

MISSED = "Your provider missed your scheduled session."


async def told_before(
    harness: NotificationsHarness,
    *,
    starts_at: datetime | None = START,
    template: str = "provider-missed",
    at: datetime = START,
) -> str:
    """Notes that the member was told before a restore, at `at`. Returns the delivery's id."""
    delivery_id = new_id()
    owner = await asyncpg.connect(as_login(harness.database.url, "owner"))
    try:
        await owner.execute(
            "INSERT INTO told_before VALUES ($1, $2, 'email', $3, $4, $5, $6)",
            *(delivery_id, harness.member, template, harness.session_id, starts_at, at),
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


DAY, HOUR = timedelta(hours=24), timedelta(hours=1)


async def reminded(harness: NotificationsHarness) -> list[tuple[str, datetime]]:
    """The member's reminders by e-mail that count as sent before the restore, and those that are to be sent."""
    return [
        (str(row[0]), row[1])
        for row in await harness.rows(
            "SELECT CASE status WHEN 'sent' THEN id::text ELSE 'new' END, sent_at FROM deliveries "
            "WHERE template = 'reminder' AND channel = 'email' AND person_id = $1 ORDER BY event_id, id",
            harness.member,
        )
    ]


async def session_of_two_reminders(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.reserved()
    await harness.happen(
        harness.session(facts.SessionConfirmed, confirmed_by="provider", remind_at=(START - DAY, START - HOUR))
    )


@pytest.mark.rule("NOTE-2", "REM-1")
@pytest.mark.parametrize(
    ("told", "due", "sent"),
    [
        pytest.param([DAY], [DAY, HOUR], [DAY, None], id="the first is known, the second was still ahead"),
        pytest.param([DAY, HOUR], [DAY, HOUR], [DAY, HOUR], id="both are known, and each counts once"),
        pytest.param([DAY], [HOUR], [None], id="the first does not come again, or is due together with the second"),
        pytest.param([DAY - HOUR], [DAY, HOUR], [DAY - HOUR, None], id="the first went out late"),
        pytest.param([DAY, DAY - HOUR], [DAY, HOUR], [DAY, None], id="one more came by hand"),
    ],
)
async def test_a_reminder_is_left_out_only_for_one_that_went_out_after_its_own_moment(
    harness: NotificationsHarness, told: list[timedelta], due: list[timedelta], sent: list[timedelta | None]
) -> None:
    await session_of_two_reminders(harness)
    known = {before: await told_before(harness, template="reminder", at=START - before) for before in told}
    for before in due:
        harness.clock.moment = START - before
        await harness.handle_due()
    expected = [("new", None) if before is None else (known[before], START - before) for before in sent]
    assert [(name, at if name != "new" else None) for name, at in await reminded(harness)] == expected


@pytest.mark.rule("NOTE-2", "REM-1")
async def test_a_reminder_by_hand_is_sent_whatever_went_out_before(harness: NotificationsHarness) -> None:
    await session_of_two_reminders(harness)
    await told_before(harness, template="reminder", at=START - DAY)
    harness.clock.moment = START - DAY + timedelta(minutes=5)
    async with harness.database.transaction(Cause(new_id(), new_id())) as unit:
        queued = await commands.remind(unit, harness.dependencies, harness.session_id, "email")
    [row] = await harness.rows("SELECT status FROM deliveries WHERE id = $1", queued.delivery_id)
    assert row["status"] == "queued"
