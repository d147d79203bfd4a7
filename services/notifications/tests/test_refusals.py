"""What a mail server refuses for good fails at once; what passes is tried again, and nothing is tried for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_testkit.waiting import eventually

from .conftest import START, NotificationsHarness

EMAIL = "SELECT status, reason, attempts FROM deliveries WHERE channel = 'email' ORDER BY position"


@pytest.fixture
def answers(harness: NotificationsHarness, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the mail server answers to each command in place of taking it."""
    given: dict[str, str] = {}

    async def mail(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.mail_from = address
        return given.get("MAIL", "250 OK")

    async def rcpt(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if "RCPT" in given:
            return given["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    monkeypatch.setattr(harness.inbox, "handle_MAIL", mail, raising=False)
    monkeypatch.setattr(harness.inbox, "handle_RCPT", rcpt)
    return given


async def about_to_refuse(harness: NotificationsHarness, answers: dict[str, str], command: str, answer: str) -> None:
    """A session of two people, and a mail server that answers the command like this."""
    await harness.everybody()
    await harness.reserved()
    if command == "DATA":
        harness.inbox.answers = [answer]
    else:
        answers[command] = answer


@pytest.mark.rule("NOTE-2")
@pytest.mark.parametrize(
    ("command", "answer"),
    [("MAIL", "552 5.3.4 too large"), ("MAIL", "555 unknown option"), ("RCPT", "550 5.1.1 no such mailbox"),
     ("RCPT", "551 not here"), ("RCPT", "553 5.1.3 bad address"), ("DATA", "554 5.6.0 not like this"), ("DATA", "550 5.7.1 no")],
)  # fmt: skip
async def test_a_mail_that_is_refused_for_good_fails_at_once_and_holds_up_no_other(
    harness: NotificationsHarness, answers: dict[str, str], command: str, answer: str
) -> None:
    await about_to_refuse(harness, answers, command, answer)
    async with harness.sending():
        await harness.happen(harness.missed())
        await harness.settled()
        assert [tuple(row) for row in await harness.rows(EMAIL)] == [("failed", "refused", 1)]
        answers.clear()
        await harness.register(harness.member, "Ada", harness.ada)
        await harness.happen(
            harness.session(
                facts.OutcomeCorrected, outcome="completed", old_outcome="provider_missed", corrected_by="support-1",
                corrected_at=START,
            )
        )  # fmt: skip
        await harness.inbox.wait(1)


@pytest.mark.rule("NOTE-2")
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "452 4.3.1 no room"),
        ("RCPT", "450 4.2.1 greylisted"),
        ("RCPT", "451 later"),
        ("DATA", "451 4.3.0 later"),
    ],
)
async def test_a_mail_that_is_put_off_is_tried_again(
    harness: NotificationsHarness, answers: dict[str, str], command: str, answer: str
) -> None:
    await about_to_refuse(harness, answers, command, answer)
    async with harness.sending():
        await harness.happen(harness.missed())

        async def put_off() -> list[Any]:
            return await harness.rows(
                f"{EMAIL.partition(' ORDER')[0]} AND next_attempt_at > now() + '5 s' AND reason IS NULL"
            )

        assert [tuple(row) for row in await eventually(put_off)] == [("queued", None, 1)]
        answers.clear()
        await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        harness.dependencies.email_worker.wake()
        await harness.inbox.wait(1)
        await harness.settled()
    assert [tuple(row) for row in await harness.rows(EMAIL)] == [("sent", None, 2)]


@pytest.mark.rule("NOTE-2")
@pytest.mark.parametrize(
    ("command", "answer"),
    [("MAIL", "550 5.7.1 sender not allowed"), ("MAIL", "530 5.7.0 log in"), ("RCPT", "530 5.7.0 log in")],
)
async def test_what_is_about_us_is_waited_for_but_not_for_ever(
    harness: NotificationsHarness, answers: dict[str, str], command: str, answer: str
) -> None:
    """No login, or a sender that is not allowed: an operator puts it right, and until then no message is blamed."""
    await harness.everybody()
    await harness.reserved()
    answers[command] = answer
    email_worker: DeliveryWorker = harness.dependencies.email_worker
    async with harness.sending():
        await harness.happen(harness.missed())

        async def knocked() -> bool:
            return bool(email_worker._knocks)

        await eventually(knocked)
        assert [row[0] for row in await harness.rows(EMAIL)] == ["queued"]
    email_worker._give_up_after = timedelta()
    await harness.rows("UPDATE deliveries SET next_attempt_at = now() WHERE status = 'queued'")
    async with harness.sending():
        await harness.settled()
    assert [tuple(row[:2]) for row in await harness.rows(EMAIL)] == [("failed", "unreachable")]
    published = await harness.rows("SELECT payload FROM outbox WHERE headers LIKE '%MessageFailed%'")
    assert b'"failure":"unreachable"' in published[0][0]
