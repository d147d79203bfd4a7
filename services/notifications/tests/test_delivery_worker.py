"""E-mails on their way: order, repeats, outages, and what is no longer sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.messaging.failpoints import Failpoint
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_notifications.mail.carrier import EmailCarrier
from makegood_notifications.store import deliveries
from makegood_notifications.store.deliveries import Finished
from makegood_notifications.store.news import News
from makegood_testkit.service import received
from makegood_testkit.waiting import eventually

from .conftest import START, NotificationsHarness, calling, crashing
from .test_messages import invitation


def extended(harness: NotificationsHarness) -> Any:
    """The session lasts longer; what was told of it before stays true."""
    end = START + timedelta(minutes=45)
    old = START + timedelta(minutes=30)
    return harness.session(facts.SessionExtended, ends_at=end, length_minutes=45, move_id=new_id(), old_ends_at=old)


@pytest.mark.rule("NOTE-2")
async def test_a_crash_between_sending_and_recording_repeats_only_with_the_same_message_id(
    harness: NotificationsHarness,
) -> None:
    await harness.only_member()
    await harness.reserved()
    await harness.happen(harness.missed())
    with crashing("delivery.attempted"):
        async with harness.sending():
            await harness.inbox.wait(1)
    assert await harness.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("queued", 1)]
    await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp()")  # the lease is over
    async with harness.sending():
        await harness.inbox.wait(2)
        await harness.settled()
    assert len(harness.inbox.mails) == 2
    assert len(set(harness.inbox.seen_ids)) == 1


@pytest.mark.rule("NOTE-2")
async def test_a_mail_whose_turn_comes_too_late_waits_for_the_next(harness: NotificationsHarness) -> None:
    """Few connections and a slow server: sent now, it might be sent by another process at the same time."""
    await harness.only_member()
    await harness.reserved()
    await harness.happen(harness.missed())
    carrier = harness.dependencies.email_worker.carrier
    assert isinstance(carrier, EmailCarrier)
    carrier.turn_seconds = -1.0
    mails_after: list[int] = []
    """How many mails there are after each attempt."""

    def allow_time(point: Failpoint) -> None:
        """From the second attempt on there is time."""
        if point == "delivery.attempted":
            mails_after.append(len(harness.inbox.mails))
            carrier.turn_seconds = 30.0

    with calling(allow_time):
        async with harness.sending():
            await harness.inbox.wait(1)
            await harness.settled()
    assert mails_after == [0, 1]
    assert len(harness.inbox.seen_ids) == 1
    rows = await harness.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    )
    assert [tuple(row) for row in rows] == [("sent", 1)]


@pytest.mark.rule("NOTE-1")
async def test_the_order_of_one_members_mails_holds_while_another_ones_wait(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    await harness.happen(extended(harness))
    harness.inbox.answers = ["451 later"]
    async with harness.sending():

        async def put_off() -> list[Any]:
            return await harness.rows(
                "SELECT id FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada' AND reason IS NULL AND next_attempt_at > now() + '5 s'"
            )

        await eventually(put_off)
        assert harness.inbox.mails == []  # the extension waits for the confirmation
        await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        harness.dependencies.email_worker.wake()
        mails = await harness.inbox.wait(2)
    assert [mail["Subject"] for mail in mails] == [
        "Your session is confirmed! Mark your calendar.",
        "Your session was extended.",
    ]


@pytest.mark.rule("NOTE-3")
async def test_a_confirmation_held_up_by_an_outage_is_not_sent_after_its_session_ended(
    harness: NotificationsHarness,
) -> None:
    from datetime import UTC, datetime, timedelta

    await harness.only_member()
    await harness.reserved()
    earlier = datetime.now(UTC) - timedelta(hours=2)
    await harness.handle(received(harness.session(facts.SessionConfirmed, confirmed_by="provider"), time=earlier))
    await harness.happen(harness.cancelled("provider"))
    async with harness.sending():
        await harness.settled()
    assert [mail["Subject"] for mail in harness.inbox.mails] == ["Your provider cancelled your session."]
    assert await harness.rows(
        "SELECT reason FROM deliveries WHERE status = 'skipped' AND person_id = 'member-ada'"
    ) == [("no-longer-true",)]


async def test_somebody_without_a_contact_or_a_wish_for_mail_gets_none(harness: NotificationsHarness) -> None:
    await harness.reserved()
    await harness.happen(harness.missed())
    async with harness.sending():
        await harness.settled()
        await harness.register(harness.member, "Ada", "ada@example.org", channels={"email": False})
        harness.session_id = harness.session_id[:-4] + "ffff"
        await harness.reserved()
        await harness.happen(harness.missed())
        await harness.settled()
    assert harness.inbox.mails == []
    reasons = await harness.rows(
        "SELECT status, reason FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' ORDER BY position"
    )
    assert reasons == [("skipped", "no-contact"), ("skipped", "not-wanted")]


async def test_a_mail_server_that_is_away_loses_nothing_and_costs_no_attempts(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    await harness.inbox.close()
    async with harness.sending():

        async def knocked() -> bool:
            return bool(harness.dependencies.email_worker._knocks)

        await eventually(knocked)
        await harness.inbox.open()
        await harness.inbox.wait(1)
        await harness.settled()
    assert await harness.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("sent", 1)]


@pytest.mark.rule("REL-9", "NOTE-2")
async def test_a_result_waits_for_the_database_and_the_mail_is_not_sent_again(
    harness: NotificationsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = deliveries.finish
    away = 3

    async def once_it_is_back(unit: UnitOfWork, done: Sequence[Finished]) -> Any:
        nonlocal away
        away -= 1
        if away >= 0:
            raise ConnectionResetError
        return await finish(unit, done)

    monkeypatch.setattr(deliveries, "finish", once_it_is_back)
    await harness.only_member()
    await harness.reserved()
    await harness.happen(harness.missed())
    async with harness.sending():
        await harness.inbox.wait(1)
        await harness.settled()
    assert len(harness.inbox.mails) == 1
    assert await harness.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("sent", 1)]


@pytest.mark.rule("REL-9")
async def test_a_mail_server_that_was_away_for_long_is_tried_again_soon(harness: NotificationsHarness) -> None:
    """People hear within ten seconds after the end of an outage, however long it was."""
    await harness.only_member()
    await harness.confirmed()
    await harness.inbox.close()
    worker = harness.dependencies.email_worker
    worker._knocks = 20  # as after some minutes
    async with harness.sending():
        await eventually(lambda: worker._knocks > 20)
        assert 0 < worker._closed_until - time.monotonic() < 8
        await harness.inbox.open()
        await harness.inbox.wait(1)


async def test_a_mailbox_that_is_refused_for_good_fails_and_is_published(harness: NotificationsHarness) -> None:
    await harness.only_member()
    harness.inbox.refused_recipients = {"ada.canary@example.org"}
    await harness.reserved()
    await harness.happen(harness.missed())
    async with harness.sending():
        await harness.settled()
    assert await harness.rows(
        "SELECT status, reason FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("failed", "refused")]
    (_, payload) = (await harness.rows("SELECT headers, payload FROM outbox WHERE headers LIKE '%MessageFailed%'"))[0]
    assert b'"failure":"refused"' in payload


async def test_one_connection_carries_many_mails(harness: NotificationsHarness) -> None:
    await harness.only_member()
    async with harness.sending():
        await harness.reserved()
        for number in range(5):
            await harness.happen(harness.missed())
            await harness.inbox.wait(number + 1)
    assert harness.inbox.connections == 1


@pytest.mark.rule("NOTE-2")
async def test_a_mail_is_taken_with_the_transaction_that_writes_it_down_and_sent_once_it_is_committed(
    harness: NotificationsHarness,
) -> None:
    await harness.only_member()
    async with harness.sending():
        await harness.confirmed()
        await harness.inbox.wait(1)
        await harness.settled()
        harness.inbox.answering.clear()
        await harness.happen(harness.missed())
        await harness.inbox.wait(2)
        taken = "SELECT attempts, reason, next_attempt_at > now() + '60 s' FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada'"
        assert await harness.rows(taken) == [(1, "in-hand", True)]
        harness.inbox.answering.set()
        await harness.settled()
    sent = "SELECT attempts, reason, status FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' ORDER BY position"
    assert await harness.rows(sent) == [(1, None, "sent"), (1, None, "sent")]


@pytest.mark.rule("NOTE-1")
async def test_of_two_mails_about_a_session_in_one_transaction_the_second_waits_for_the_first(
    harness: NotificationsHarness,
) -> None:
    await harness.only_member()
    async with harness.sending():
        await harness.confirmed()
        await harness.inbox.wait(1)
        await harness.settled()
        harness.inbox.answers = ["451 later"]
        await harness.handle(received(extended(harness)), received(extended(harness)))

        async def put_off() -> list[Any]:
            return await harness.rows(
                "SELECT id FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada' AND reason IS NULL AND next_attempt_at > now() + '5 s'"
            )

        await eventually(put_off)
        attempts = "SELECT attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' AND status = 'queued' ORDER BY position"
        assert await harness.rows(attempts) == [(1,), (0,)]
        await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        harness.dependencies.email_worker.wake()
        mails = await harness.inbox.wait(3)
        await harness.settled()
    assert [invitation(mail)[1]["SEQUENCE"] for mail in mails] == [0, 1, 2]


class Stubborn(News):
    """Reading it swallows a cancellation, as `asyncio.wait_for` does before Python 3.12 if its wait ends in that moment."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reading = asyncio.Event()

    async def read_until(self) -> datetime:
        self.reading.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await super().read_until()


async def test_a_worker_ends_although_a_wait_swallowed_its_cancellation(harness: NotificationsHarness) -> None:
    await harness.confirmed()  # something is due
    news = Stubborn(harness.database)
    worker = harness.dependencies.email_worker
    email_worker = DeliveryWorker(harness.database, worker.carrier, news, give_up_after=timedelta(hours=1))
    task = asyncio.create_task(email_worker.run())
    async with asyncio.timeout(10):
        await news.reading.wait()
        task.cancel()
        await asyncio.wait([task])
