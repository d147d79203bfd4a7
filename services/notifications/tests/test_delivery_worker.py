"""E-mails on their way: order, repeats, outages, and what is no longer sent."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.store import deliveries

from .conftest import START, World, eventually
from .test_messages import invitation


def extended(world: World) -> Any:
    """The session lasts longer; what was told of it before stays true."""
    end = START + timedelta(minutes=45)
    old = START + timedelta(minutes=30)
    return world.session(facts.SessionExtended, ends_at=end, length_minutes=45, move_id=new_id(), old_ends_at=old)


@pytest.mark.rule("NOTE-2")
async def test_a_crash_between_sending_and_recording_repeats_only_with_the_same_message_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.only_member()
    await world.reserved()
    await world.happen(world.missed())
    real = world.service.dependencies.email_worker._finish.submit

    async def crash(outcome: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(world.service.dependencies.email_worker._finish, "submit", crash)
    async with world.sending():
        await world.inbox.wait(1)
    monkeypatch.setattr(world.service.dependencies.email_worker._finish, "submit", real)
    assert await world.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("queued", 1)]
    await world.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp()")  # the lease is over
    async with world.sending():
        await world.inbox.wait(2)
        await world.settled()
    assert len(world.inbox.mails) == 2
    assert len(set(world.inbox.seen_ids)) == 1


@pytest.mark.rule("NOTE-2")
async def test_a_mail_whose_turn_comes_too_late_waits_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few connections and a slow server: sent now, it might be sent by another process at the same time."""
    await world.only_member()
    await world.confirmed()
    email_worker = world.service.dependencies.email_worker
    real, put_off = email_worker._finish.submit, asyncio.Event()

    async def see(outcome: Any) -> None:
        await real(outcome)
        monkeypatch.setattr(deliveries, "TURN", 30.0)
        put_off.set()

    monkeypatch.setattr(email_worker._finish, "submit", see)
    monkeypatch.setattr(deliveries, "TURN", -1.0)
    async with world.sending():
        await put_off.wait()
        assert world.inbox.mails == []
        await world.inbox.wait(1)
        await world.settled()
    assert len(world.inbox.seen_ids) == 1
    rows = await world.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    )
    assert [tuple(row) for row in rows] == [("sent", 1)]


@pytest.mark.rule("NOTE-1")
async def test_the_order_of_one_members_mails_holds_while_another_ones_wait(world: World) -> None:
    await world.only_member()
    await world.confirmed()
    await world.happen(extended(world))
    world.inbox.answers = ["451 later"]
    async with world.sending():

        async def put_off() -> list[Any]:
            return await world.rows(
                "SELECT id FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada' AND reason IS NULL AND next_attempt_at > now() + '5 s'"
            )

        await eventually(put_off)
        assert world.inbox.mails == []  # the extension waits for the confirmation
        await world.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        world.service.dependencies.email_worker.wake()
        mails = await world.inbox.wait(2)
    assert [mail["Subject"] for mail in mails] == [
        "Your session is confirmed! Mark your calendar.",
        "Your session was extended.",
    ]


@pytest.mark.rule("NOTE-3")
async def test_a_confirmation_held_up_by_an_outage_is_not_sent_after_its_session_ended(world: World) -> None:
    from datetime import UTC, datetime, timedelta

    await world.only_member()
    await world.reserved()
    earlier = datetime.now(UTC) - timedelta(hours=2)
    await world.arrive([world.received(world.session(facts.SessionConfirmed, confirmed_by="provider"), time=earlier)])
    await world.happen(world.cancelled("provider"))
    async with world.sending():
        await world.settled()
    assert [mail["Subject"] for mail in world.inbox.mails] == ["Your provider cancelled your session."]
    assert await world.rows("SELECT reason FROM deliveries WHERE status = 'skipped' AND person_id = 'member-ada'") == [
        ("no-longer-true",)
    ]


async def test_somebody_without_a_contact_or_a_wish_for_mail_gets_none(world: World) -> None:
    await world.reserved()
    await world.happen(world.missed())
    async with world.sending():
        await world.settled()
        await world.register(world.member, "Ada", "ada@example.org", channels={"email": False})
        world.session_id = world.session_id[:-4] + "ffff"
        await world.reserved()
        await world.happen(world.missed())
        await world.settled()
    assert world.inbox.mails == []
    reasons = await world.rows(
        "SELECT status, reason FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' ORDER BY position"
    )
    assert reasons == [("skipped", "no-contact"), ("skipped", "not-wanted")]


async def test_a_mail_server_that_is_away_loses_nothing_and_costs_no_attempts(world: World) -> None:
    await world.only_member()
    await world.confirmed()
    await world.inbox.close()
    async with world.sending():

        async def knocked() -> bool:
            return bool(world.service.dependencies.email_worker._knocks)

        await eventually(knocked)
        await world.inbox.open()
        await world.inbox.wait(1)
        await world.settled()
    assert await world.rows(
        "SELECT status, attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("sent", 1)]


async def test_a_mailbox_that_is_refused_for_good_fails_and_is_published(world: World) -> None:
    await world.only_member()
    world.inbox.refused_recipients = {"ada.canary@example.org"}
    await world.reserved()
    await world.happen(world.missed())
    async with world.sending():
        await world.settled()
    assert await world.rows(
        "SELECT status, reason FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada'"
    ) == [("failed", "refused")]
    (_, payload) = (await world.rows("SELECT headers, payload FROM outbox WHERE headers LIKE '%MessageFailed%'"))[0]
    assert b'"failure":"refused"' in payload


async def test_one_connection_carries_many_mails(world: World) -> None:
    await world.only_member()
    async with world.sending():
        await world.reserved()
        for number in range(5):
            await world.happen(world.missed())
            await world.inbox.wait(number + 1)
    assert world.inbox.connections == 1


@pytest.mark.rule("NOTE-2")
async def test_a_mail_is_taken_with_the_transaction_that_writes_it_down_and_sent_once_it_is_committed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await world.only_member()
    async with world.sending():
        await world.confirmed()
        await world.inbox.wait(1)
        await world.settled()
        email_worker = world.service.dependencies.email_worker
        real, held = email_worker._finish.submit, asyncio.Event()

        async def hold(outcome: Any) -> None:
            await held.wait()
            await real(outcome)

        monkeypatch.setattr(email_worker._finish, "submit", hold)
        await world.happen(world.missed())
        await world.inbox.wait(2)
        taken = "SELECT attempts, reason, next_attempt_at > now() + '60 s' FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada'"
        assert await world.rows(taken) == [(1, "in-hand", True)]
        held.set()
        await world.settled()
    sent = "SELECT attempts, reason, status FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' ORDER BY position"
    assert await world.rows(sent) == [(1, None, "sent"), (1, None, "sent")]


@pytest.mark.rule("NOTE-1")
async def test_of_two_mails_about_a_session_in_one_transaction_the_second_waits_for_the_first(world: World) -> None:
    await world.only_member()
    async with world.sending():
        await world.confirmed()
        await world.inbox.wait(1)
        await world.settled()
        world.inbox.answers = ["451 later"]
        await world.arrive([world.received(extended(world)), world.received(extended(world))])

        async def put_off() -> list[Any]:
            return await world.rows(
                "SELECT id FROM deliveries WHERE status = 'queued' AND person_id = 'member-ada' AND reason IS NULL AND next_attempt_at > now() + '5 s'"
            )

        await eventually(put_off)
        attempts = "SELECT attempts FROM deliveries WHERE channel = 'email' AND person_id = 'member-ada' AND status = 'queued' ORDER BY position"
        assert await world.rows(attempts) == [(1,), (0,)]
        await world.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        world.service.dependencies.email_worker.wake()
        mails = await world.inbox.wait(3)
        await world.settled()
    assert [invitation(mail)[1]["SEQUENCE"] for mail in mails] == [0, 1, 2]


async def test_a_sender_ends_although_a_wait_swallowed_its_cancellation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` does before Python 3.12, where what it waits for ends in the same moment."""
    email_worker, taking = world.service.dependencies.email_worker, asyncio.Event()

    async def take() -> bool:
        taking.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return False

    monkeypatch.setattr(email_worker, "_take", take)
    task = asyncio.create_task(email_worker.run())
    await taking.wait()
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
