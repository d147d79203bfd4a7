"""REM-1: reminders by themselves, and by the provider's hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.messaging.handlers import Due
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id
from makegood_notifications.domain.reminders import PATIENCE, Reminder, ask_at, reminders, reminds

from .conftest import START, NotificationsHarness
from .test_changes import text, told

DAY, HOUR = timedelta(hours=24), timedelta(hours=1)


async def confirmed(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    await harness.happen(
        harness.session(facts.SessionConfirmed, confirmed_by="provider", remind_at=(START - DAY, START - HOUR))
    )


@pytest.mark.rule("REM-1")
async def test_both_parties_are_reminded_a_day_and_an_hour_before(harness: NotificationsHarness) -> None:
    await confirmed(harness)
    async with harness.sending():
        for count, moment in enumerate((START - DAY, START - HOUR), start=1):
            harness.clock.moment = moment - timedelta(seconds=1)
            await harness.handle_due()
            harness.clock.moment = moment
            assert await harness.handle_due() == ["reminder"]
            ada = await harness.inbox.wait_for(harness.ada, 1 + count)
            grace = await harness.inbox.wait_for(harness.grace, 1 + count)
        await harness.settled()
    assert [mail["Subject"] for mail in ada[1:]] == ["Your session is coming up."] * 2
    assert [mail["Subject"] for mail in grace[1:]] == ["Your session is coming up."] * 2
    assert "with Dr. Grace Canary" in text(ada[1])
    assert "with Ada Canary" in text(grace[1])
    assert (await told(harness, harness.member)).count(("in_app", "reminder")) == 2


@pytest.mark.rule("REM-1", "NOTE-3")
@pytest.mark.parametrize("change", ["cancelled", "moved", "declined", "nothing"])
async def test_no_reminder_goes_out_after_a_cancellation_or_a_move(harness: NotificationsHarness, change: str) -> None:
    await confirmed(harness)
    if change == "cancelled":
        await harness.happen(harness.cancelled("member"))
    elif change == "moved":
        await harness.happen(harness.moved("provider", remind_at=(START + HOUR - DAY, START)))
    elif change == "declined":
        await harness.happen(harness.session(facts.SessionDeclined))
    harness.clock.moment = START - HOUR
    await harness.handle_due()
    expected = {"nothing": 1, "moved": 1}.get(change, 0)
    rows = await harness.rows("SELECT facts FROM deliveries WHERE template = 'reminder' AND channel = 'email'")
    assert len(rows) == expected
    if change == "moved":
        assert datetime.fromisoformat(rows[0][0]["starts_at"]) == START + HOUR


@pytest.mark.rule("REM-1")
@pytest.mark.parametrize("order", ["ASC", "DESC"])
async def test_a_reminder_of_the_start_before_a_move_does_not_hide_that_of_the_new_one(
    harness: NotificationsHarness, order: str
) -> None:
    """Moved by 23 hours: the new reminder a day before and the old one an hour before are due at the same moment."""
    start = START + DAY - HOUR
    await confirmed(harness)
    await harness.happen(harness.moved("provider", start=start, remind_at=(start - DAY, start - HOUR)))
    harness.clock.moment = START - HOUR
    taken = await harness.rows(
        "SELECT entity_id, due_at FROM deadlines WHERE kind = 'reminder' AND due_at = $1 "
        f"ORDER BY entity_id {order}", START - HOUR,
    )  # fmt: skip
    assert len(taken) == 2
    async with harness.database.transaction(Cause(new_id(), new_id())) as unit:
        await harness.service.deadlines["reminder"]([Due(*row) for row in taken], unit)
    rows = await harness.rows("SELECT facts FROM deliveries WHERE template = 'reminder' AND channel = 'email'")
    assert [datetime.fromisoformat(row[0]["starts_at"]) for row in rows] == [start]


@pytest.mark.rule("REM-1", "NOTE-3")
async def test_a_reminder_in_the_queue_is_not_sent_once_the_session_is_cancelled(harness: NotificationsHarness) -> None:
    """It was true when it was written down; it is looked at again by the statement that takes it to be sent."""
    await confirmed(harness)
    harness.clock.moment = START - HOUR
    await harness.handle_due()
    await harness.happen(harness.cancelled("provider"))
    async with harness.sending():
        await harness.settled()
    assert "Your session is coming up." not in [mail["Subject"] for mail in harness.inbox.mails]
    rows = await harness.rows(
        "SELECT status, reason FROM deliveries WHERE template LIKE '%reminder' AND channel = 'email'"
    )
    assert [tuple(row) for row in rows] == [("skipped", "no-longer-true")] * 2


@pytest.mark.rule("REM-1", "NOTE-3")
async def test_of_reminders_that_are_due_together_one_goes_out_and_none_after_the_start(
    harness: NotificationsHarness,
) -> None:
    await confirmed(harness)
    harness.clock.moment = START - timedelta(minutes=30)
    assert await harness.handle_due() == ["ask-to-confirm", "reminder", "reminder"]
    assert (await told(harness, harness.member)).count(("email", "reminder")) == 1
    await harness.happen(
        harness.session(facts.SessionConfirmed, confirmed_by="provider", remind_at=(START - timedelta(minutes=5),))
    )
    harness.clock.moment = START
    assert await harness.handle_due() == ["reminder"]
    assert (await told(harness, harness.member)).count(("email", "reminder")) == 1


@pytest.mark.rule("REM-1")
@given(st.lists(st.integers(-100, 100)), st.integers(-100, 100), st.integers(-100, 100))
def test_reminders_lie_between_now_and_the_start(moments: list[int], now: int, start: int) -> None:
    at = {number: START + timedelta(minutes=number) for number in (*moments, now, start)}
    planned = reminders("s", at[start], [at[one] for one in moments], at[now])
    assert [moment for _, moment in planned] == sorted(at[one] for one in moments if now < one < start)
    for reminder, moment in planned:
        assert Reminder.parse(reminder.text) == reminder
        assert reminds("confirmed", at[start], reminder.starts_at, moment)
        assert not reminds("confirmed", at[start] + HOUR, reminder.starts_at, moment)
        assert not reminds("cancelled", at[start], reminder.starts_at, moment)
        assert not reminds("confirmed", at[start], reminder.starts_at, at[start])


@pytest.mark.rule("REM-1")
async def test_a_session_that_is_confirmed_anew_after_the_first_reminder_would_have_been_due_has_the_other_once(
    harness: NotificationsHarness,
) -> None:
    """Moved by its member, and confirmed less than a day before: planned twice, each time as what it is."""
    await confirmed(harness)
    start = START + HOUR
    moments = (start - DAY, start - HOUR)
    await harness.happen(harness.moved("member", start=start, remind_at=moments, confirm_by=START - 2 * HOUR))
    harness.clock.moment = start - DAY + HOUR
    await harness.handle_due()
    await harness.happen(
        harness.session(
            facts.SessionConfirmed, confirmed_by="provider", starts_at=start, ends_at=start + HOUR, remind_at=moments
        )
    )
    due = await harness.rows("SELECT FROM deadlines WHERE kind = 'reminder' AND due_at = $1", start - HOUR)
    assert len(due) == 1


@given(st.integers(0, 100_000))
def test_a_provider_is_asked_while_there_is_time_to_answer(seconds: int) -> None:
    confirm_by = START + timedelta(seconds=seconds)
    assert START <= ask_at(START, confirm_by) <= min(confirm_by, START + PATIENCE)


@pytest.mark.rule("NOTE-3")
@pytest.mark.parametrize("answered", [False, True])
async def test_a_provider_who_does_not_answer_a_booking_is_asked_by_mail(
    harness: NotificationsHarness, answered: bool
) -> None:
    await harness.everybody()
    await harness.happen(harness.session(facts.SessionReserved, confirm_by=START - DAY))
    if answered:
        await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
    harness.clock.moment += PATIENCE
    async with harness.sending():
        assert await harness.handle_due() == ["ask-to-confirm"]
        if not answered:
            (mail,) = await harness.inbox.wait_for(harness.grace, 1)
            assert mail["Subject"] == "A session is waiting for your confirmation."
            assert "Confirm by: Monday, November 23, 2026, 10:00" in text(mail)
        await harness.settled()
    assert await told(harness, harness.provider) == (
        [("email", "to-provider-scheduled")]
        if answered
        else [("email", "to-provider-confirm"), ("in_app", "to-provider-confirm")]
    )


@pytest.mark.rule("NOTE-3")
async def test_a_provider_is_not_asked_about_a_start_that_was_moved_meanwhile(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.happen(harness.session(facts.SessionReserved, confirm_by=START - DAY))
    await harness.happen(harness.moved("member", confirm_by=START - 2 * DAY))
    harness.clock.moment += PATIENCE
    assert await harness.handle_due() == ["ask-to-confirm"]
    assert [template for _, template in await told(harness, harness.provider)].count("to-provider-confirm") == 0


def enrolled(harness: NotificationsHarness, channels: Sequence[Any], **more: Any) -> Any:
    values: dict[str, Any] = {
        "enrolment_id": new_id(), "member_id": harness.member, "plan_id": "p", "plan_kind": "sponsored",
        "starts_on": date(2026, 1, 1), "ends_on": None, "time_zone": "UTC", "lengths": [45], "psychiatry_lengths": [15, 60],
        "modalities": ["video"], "live_credits": 12, "purchasable": False, "reminder_channels": tuple(channels),
    }  # fmt: skip
    return facts.MemberEnrolled(**{**values, **more})


@pytest.mark.rule("REM-1")
async def test_the_provider_reminds_by_hand_as_the_plan_allows(harness: NotificationsHarness) -> None:
    await confirmed(harness)
    await harness.register(
        harness.member, "Ada Canary", harness.ada, phone="+49 30 1234567", channels={"email": True, "whatsapp": True}
    )
    path = f"/v1/sessions/{harness.session_id}/reminders"
    client = harness.client("provider", harness.provider)
    async with harness.sending():
        await harness.happen(enrolled(harness, ["email"]))
        refused = await client.post(path, json={"channel": "whatsapp"})
        mailed = await client.post(path, json={"channel": "email"})
        await harness.happen(enrolled(harness, ["email", "whatsapp"], starts_on=date(2026, 2, 1)))
        sent = await client.post(path, json={"channel": "whatsapp"})
        await harness.inbox.wait_for(harness.ada, 2)
        await harness.settled()
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/reminder-not-possible")
    assert [answer.status_code for answer in (mailed, sent)] == [201, 201], sent.text
    assert mailed.json()["channel"] == "email"
    assert mailed.json()["status"] == "queued"
    (message,) = await harness.whatsapp.messages()
    assert (message["To"], message["Template"]) == ("49301234567", "makegood_reminder")


@pytest.mark.rule("REM-1", "SEC-1")
async def test_who_may_remind_by_hand_and_when(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    path = f"/v1/sessions/{harness.session_id}/reminders"
    body = {"channel": "email"}
    client = harness.client("provider", harness.provider)
    assert (await client.post(path, json=body)).json()["type"] == "/problems/not-confirmed"
    await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider"))
    first = await client.post(path, json=body, headers={"Idempotency-Key": "one"})
    again = await client.post(path, json=body, headers={"Idempotency-Key": "one"})
    assert first.json() == again.json()
    assert (await client.post(path, json={"channel": "pigeon"})).status_code == 422
    await harness.register(harness.member, "Ada", harness.ada, channels={"email": False})
    assert (await client.post(path, json=body)).json()["type"] == "/problems/reminder-not-possible"
    assert (await client.post(path, json={"channel": "whatsapp"})).status_code == 409
    await harness.happen(harness.cancelled("member"))
    over = await client.post(path, json=body)
    assert (over.status_code, over.json()["type"]) == (409, "/problems/session-over")
    assert (await client.post(f"/v1/sessions/{new_id()}/reminders", json=body)).status_code == 404
    for subject, role, status in (
        (harness.member, "member", 403), ("provider-eve", "provider", 404), ("support-1", "support", 403),
    ):  # fmt: skip
        client = harness.client(role, subject)
        assert (await client.post(path, json=body)).status_code == status
    rows = await harness.rows("SELECT count(*) FROM deliveries WHERE template = 'reminder'")
    assert rows == [(1,)]
