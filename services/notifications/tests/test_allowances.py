"""Nobody fills another person's mailbox: what reaches somebody else is possible only now and then."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.domain.allowances import UNCOUNTED
from makegood_notifications.domain.announcements import Template

from .conftest import START, NotificationsHarness
from .test_reminders import confirmed, enrolled

HOUR = timedelta(hours=1)


@pytest.mark.rule("REM-1")
async def test_forty_reminders_at_once_send_one(harness: NotificationsHarness) -> None:
    await confirmed(harness)
    path, body = f"/v1/sessions/{harness.session_id}/reminders", {"channel": "email"}
    client = harness.client("provider", harness.provider)
    answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(40)))
    refused = [answer for answer in answers if answer.status_code == 409]
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 39
    assert {answer.json()["type"] for answer in refused} == {"/problems/too-soon"}
    assert {answer.headers["Retry-After"] for answer in refused} == {"3600"}
    assert {datetime.fromisoformat(answer.json()["next_at"]) for answer in refused} == {harness.clock.now() + HOUR}
    assert await harness.rows("SELECT count(*) FROM deliveries WHERE template = 'reminder'") == [(1,)]


@pytest.mark.rule("REM-1", "REL-4")
async def test_a_reminder_is_possible_again_after_an_hour_and_by_another_channel_at_once(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody(phone="+49 30 1234567", channels={"email": True, "whatsapp": True})
    await harness.confirmed()
    await harness.happen(enrolled(harness, ["email", "whatsapp"]))
    path = f"/v1/sessions/{harness.session_id}/reminders"
    client = harness.client("provider", harness.provider)

    async def remind(channel: str = "email", key: str | None = None) -> int:
        headers = {"Idempotency-Key": key or new_id()}
        return (await client.post(path, json={"channel": channel}, headers=headers)).status_code

    assert await remind(key="first") == 201
    assert await remind() == 409
    assert await remind("whatsapp") == 201
    assert await remind(key="first") == 201, "a repeat gets its first answer"
    harness.clock.moment += HOUR - timedelta(seconds=1)
    refused = await client.post(path, json={"channel": "email"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "1")
    harness.clock.moment += timedelta(seconds=1)
    assert await remind() == 201
    assert await remind() == 409
    assert await harness.rows("SELECT count(*) FROM deliveries WHERE template = 'reminder'") == [(3,)]


@pytest.mark.rule("RESC-2", "MISS-3")
async def test_moves_back_and_forth_send_thirty_mails_an_hour_and_a_miss_is_always_told(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.confirmed()  # the first of them
    moves = [harness.moved("provider", start=START + timedelta(hours=2 + number % 2)) for number in range(40)]
    await harness.handle(*moves[:20])
    await harness.happen(*moves[20:])
    mailed = (
        "SELECT count(*) FROM deliveries WHERE channel = 'email' AND status <> 'skipped' AND template <> 'provider-missed'"
        " AND person_id = 'member-ada'"
    )
    assert await harness.rows(mailed) == [(30,)]
    assert await harness.rows("SELECT count(*) FROM chat_messages WHERE template = 'session-moved-by-provider'") == [
        (40,)
    ]
    await harness.happen(harness.missed())
    missed = "SELECT status FROM deliveries WHERE channel = 'email' AND template = 'provider-missed'"
    assert await harness.rows(missed) == [("queued",)]
    harness.clock.moment += HOUR
    await harness.happen(harness.moved("provider"))
    assert await harness.rows(mailed) == [(31,)]


async def changes_provider(harness: NotificationsHarness) -> None:
    """The member has a session in a room that is new, and goes on with another provider."""
    harness.room_id, harness.session_id = new_id(), new_id()
    await harness.confirmed()
    cancelled: dict[str, Any] = {
        "cancelled_by": "member",
        "cancelled_at": START,
        "forfeits": False,
        "was_confirmed": True,
    }
    room = {"room_id": harness.room_id, "member_id": harness.member, "provider_id": harness.provider}
    await harness.happen(
        harness.session(facts.SessionCancelled, **cancelled, cause="change_of_provider"),
        facts.ProviderChanged(
            **room, room_version=2, new_room_id=new_id(), new_provider_id="provider-other", changed_at=START
        ),
    )


@pytest.mark.rule("ROOM-3", "MISS-3")
async def test_a_new_room_for_each_mail_is_no_way_around(harness: NotificationsHarness) -> None:
    await harness.everybody()
    harness.clock.moment = START  # nothing here may be later
    for _ in range(35):
        await changes_provider(harness)
    mailed = (
        "SELECT count(*) FROM deliveries WHERE channel = 'email' AND status = 'queued' AND person_id = $1"
        " AND template <> 'provider-missed'"
    )
    assert await harness.rows(mailed, harness.member) == [(30,)]
    assert await harness.rows(mailed, harness.provider) == [(30,)]
    chat = "SELECT count(*) FROM chat_messages WHERE template = 'session-cancelled-with-provider'"
    assert await harness.rows(chat) == [(35,)], "the chat has all of it"
    ada = harness.member
    harness.member = "member-eve"
    await changes_provider(harness)
    assert await harness.rows(mailed, harness.provider) == [(33,)], "one member does not keep another's mails back"
    harness.member, harness.room_id, harness.session_id = ada, new_id(), new_id()
    await harness.confirmed()
    await harness.happen(harness.missed())
    missed = "SELECT status FROM deliveries WHERE channel = 'email' AND template = 'provider-missed'"
    assert await harness.rows(missed) == [("queued",)]


COUNTED = {
    "session-confirmed", "session-declined", "session-cancelled-by-member", "session-cancelled-by-provider",
    "session-cancelled-by-system", "session-cancelled-with-provider", "session-moved-by-member", "session-moved-by-provider",
    "session-extended", "session-zone-changed", "session-reconfirmed", "outcome-disputed", "outcome-corrected", "credit-returned", "credit-corrected",
    "invoice-issued", "invoice-refunded", "purchase-refunded", "waitlist-offered", "waitlist-passed-over", "room-restarted", "provider-changed", "to-provider-confirm",
    "to-provider-moved", "to-provider-cancelled", "to-provider-changed", "session-cancelled-provider-gone",
    "provider-gone", "to-provider-member-gone",
    "to-provider-scheduled", "to-provider-unscheduled",
}  # fmt: skip
"""What people can cause as often as they like."""


def test_every_template_is_either_counted_or_has_a_reason_not_to_be() -> None:
    assert sorted([*COUNTED, *UNCOUNTED]) == sorted(get_args(Template))
    assert "provider-missed" in UNCOUNTED


@pytest.mark.rule("AVAIL-5")
async def test_the_ready_message_is_written_three_times_an_hour(harness: NotificationsHarness) -> None:
    await confirmed(harness)
    await harness.happen(enrolled(harness, ["email"]))
    path = f"/v1/rooms/{harness.room_id}/time-request"
    client = harness.client("member", harness.member)
    answers = await asyncio.gather(*(client.post(path, json={}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7
    harness.clock.moment += HOUR
    assert (await client.post(path, json={})).status_code == 201
