"""NOTE-3: after an outage the consumer finds everything in one poll; what is no longer true by then is not sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.progress import ReadUntil
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.ids import new_id
from makegood_notifications.store.news import News
from makegood_testkit.waiting import eventually
from msgspec import structs

from .conftest import START, NotificationsHarness
from .test_changes import offer, text
from .test_endings import passed_over
from .test_messages import parts

LATER = START + timedelta(hours=1)
OUTAGE = timedelta(seconds=70)


class Poll:
    """The service's own consumer, from the poll on: everything that happened during an outage comes at once."""

    def __init__(self, harness: NotificationsHarness) -> None:
        self.harness = harness
        self._processor = Processor(
            harness.database, harness.service.events, service="notifications", guard=DeadLetterLimit(100, 60)
        )
        self._sequences: dict[str, int] = {}

    async def brings(self, *events: Any, ago: timedelta = OUTAGE) -> None:
        moment = datetime.now(UTC) - ago
        records = []
        for number, event in enumerate(events):
            self._sequences[event.key] = self._sequences.get(event.key, 0) + 1
            one = encode(
                event,
                sequence=self._sequences[event.key],
                cause=Cause(new_id(), new_id()),
                time=moment + timedelta(seconds=number),
            )
            headers = tuple((name, value.encode()) for name, value in one.headers)
            records.append(
                ConsumerRecord(
                    one.topic,
                    0,
                    number,
                    int(moment.timestamp() * 1000),
                    0,
                    one.key.encode(),
                    one.value,
                    None,
                    -1,
                    -1,
                    headers,
                )
            )
        await self._processor.process(records)


def reconfirm(harness: NotificationsHarness) -> Any:
    return harness.session(facts.ReconfirmationAsked)


def corrected(harness: NotificationsHarness, old: str, new: str) -> Any:
    return harness.session(
        facts.OutcomeCorrected, old_outcome=old, outcome=new, corrected_by="support-1", corrected_at=LATER
    )


def no_show(harness: NotificationsHarness) -> Any:
    return harness.session(facts.MemberNoShow, marked_by="system")


def extension(harness: NotificationsHarness) -> Any:
    end = START + timedelta(minutes=45)
    return harness.session(
        facts.SessionExtended,
        ends_at=end,
        length_minutes=45,
        move_id=new_id(),
        old_ends_at=START + timedelta(minutes=30),
    )


def confirmation(harness: NotificationsHarness) -> Any:
    return harness.session(facts.SessionConfirmed, confirmed_by="provider")


Story = Callable[[NotificationsHarness], list[Any]]
CONFIRMED: dict[str, Story] = {
    # of a session that is confirmed and told of: what happens during the outage → what must not be sent any more
    "session-moved-by-provider": lambda w: [w.moved("provider"), w.cancelled("provider")],
    "session-moved-by-member": lambda w: [w.moved("member", confirm_by=LATER), w.cancelled("member")],
    "to-provider-moved": lambda w: [w.moved("member", confirm_by=LATER), w.cancelled("member")],
    "reconfirm-asked": lambda w: [reconfirm(w), w.cancelled("member")],
    "session-extended": lambda w: [extension(w), w.cancelled("provider")],
    "provider-missed": lambda w: [w.missed(), corrected(w, "provider_missed", "completed")],
    "member-no-show": lambda w: [no_show(w), corrected(w, "member_no_show", "provider_missed")],
    "outcome-corrected": lambda w: [
        w.missed(), corrected(w, "provider_missed", "completed"), corrected(w, "completed", "member_no_show")
    ],
}  # fmt: skip


def mailed(harness: NotificationsHarness) -> list[str]:
    return [str(mail["Subject"]) for mail in harness.inbox.mails]


async def templates(harness: NotificationsHarness, status: str) -> list[str]:
    rows = await harness.rows(
        "SELECT template FROM deliveries WHERE status = $1 AND channel = 'email' ORDER BY position", status
    )
    return [row[0] for row in rows]


@pytest.mark.rule("NOTE-3")
@pytest.mark.parametrize("template", CONFIRMED)
async def test_what_the_same_poll_takes_back_is_not_sent(harness: NotificationsHarness, template: str) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        assert template not in await templates(harness, "sent")
        harness.clock.moment = START + timedelta(hours=3)
        await Poll(harness).brings(*CONFIRMED[template](harness))
        await harness.settled()
    skipped = await templates(harness, "skipped")
    assert template in skipped
    sent = await templates(harness, "sent")
    assert len(sent) > 1, "what is true is sent"
    if template != "outcome-corrected":
        assert template not in sent


@pytest.mark.rule("NOTE-3", "RESC-4")
@pytest.mark.parametrize("ending", ["cancelled", "declined", "expired", "missed"])
async def test_a_confirmation_that_was_never_sent_is_taken_back_in_no_calendar(
    harness: NotificationsHarness, ending: str
) -> None:
    """Notifications is down while the session is confirmed and ended: one mail, and nothing for the calendar."""
    await harness.everybody()
    await harness.reserved()
    harness.clock.moment = START + timedelta(hours=3)
    last: dict[str, Callable[[], Any]] = {
        "cancelled": lambda: harness.cancelled("provider"),
        "declined": lambda: harness.session(facts.SessionDeclined),
        "expired": lambda: harness.session(facts.SessionExpired),
        "missed": harness.missed,
    }
    async with harness.sending():
        await Poll(harness).brings(confirmation(harness), last[ending]())
        (mail, *_) = await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    to_member = [one for one in harness.inbox.mails if one["To"].addresses[0].addr_spec == harness.ada]
    assert len(to_member) == 1
    assert "text/calendar" not in parts(mail)
    assert "session-confirmed" in await templates(harness, "skipped")


@pytest.mark.rule("NOTE-3", "RESC-4")
async def test_a_confirmation_that_was_sent_is_taken_back_also_where_a_move_in_between_was_not(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        harness.clock.moment = START + timedelta(hours=3)
        await Poll(harness).brings(harness.moved("provider"), harness.cancelled("provider"))
        await harness.settled()
    first, last = [mail for mail in harness.inbox.mails if mail["To"].addresses[0].addr_spec == harness.ada]
    assert "METHOD:REQUEST" in parts(first)["text/calendar"].get_content()
    content = parts(last)["text/calendar"].get_content()
    assert "METHOD:CANCEL" in content
    assert "SEQUENCE:2" in content


@pytest.mark.rule("NOTE-3", "AVAIL-6")
async def test_an_offer_that_lapsed_in_the_same_poll_is_not_sent(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    offered = offer(harness)
    names = ("entry_id", "provider_id", "member_id", "room_id", "length_minutes", "modality")
    lapsed = facts.WaitlistOfferLapsed(**{name: getattr(offered, name) for name in names}, starts_at=START)
    async with harness.sending():
        await Poll(harness).brings(offered, lapsed)
        await harness.settled()
    assert mailed(harness) == []


@pytest.mark.rule("NOTE-3", "AVAIL-6")
@pytest.mark.parametrize("change", ["left", "booked", "offered", "passed over anew", "passed over again, untold"])
async def test_why_somebody_could_not_book_is_not_mailed_once_their_entry_has_changed(
    harness: NotificationsHarness, change: str
) -> None:
    await harness.everybody()
    await harness.reserved()
    first = passed_over(harness, "coverage-ended")
    other = passed_over(harness, "member-busy")
    names = ("entry_id", "provider_id", "member_id", "room_id", "length_minutes", "modality")
    same = {name: getattr(first, name) for name in names}
    then: dict[str, Callable[[], Any]] = {
        "left": lambda: facts.WaitlistEnded(**same, cause="left"),
        "booked": lambda: facts.WaitlistEnded(**same, cause="booked"),
        "offered": lambda: offer(harness, **same),
        "passed over anew": lambda: passed_over(harness, "outstanding-charges", entry_id=first.entry_id),
        "passed over again, untold": lambda: passed_over(
            harness, "coverage-ended", tells=False, entry_id=first.entry_id
        ),
    }
    async with harness.sending():
        await Poll(harness).brings(first, other, then[change]())
        await harness.settled()
    told = [
        text(mail)
        for mail in harness.inbox.mails
        if mail["Subject"].startswith("A time you are waiting for was available")
    ]
    assert sum("you have no coverage on that day" in one for one in told) == (change == "passed over again, untold")
    assert sum("an invoice is overdue" in one for one in told) == (change == "passed over anew")
    assert len(told) == (2 if change.startswith("passed over") else 1), "other entries are told of"


@pytest.mark.rule("NOTE-3", "CRED-7")
@pytest.mark.parametrize("settled", ["paid", "void"])
async def test_an_invoice_that_was_settled_in_the_same_poll_is_not_sent(
    harness: NotificationsHarness, settled: str
) -> None:
    await harness.everybody()
    owed: dict[str, Any] = {
        "invoice_id": new_id(), "member_id": harness.member, "amount_minor": 2500, "currency": "USD",
    }  # fmt: skip
    due = START.date()
    last = (
        facts.InvoicePaid(**owed, session_id=None, paid_at=START)
        if settled == "paid"
        else facts.InvoiceVoided(**owed, session_id=None, cause="support")
    )
    issued = facts.InvoiceIssued(**owed, session_id=None, due_on=due, about="co_pay")
    overdue = facts.InvoiceOverdue(**owed, session_id=None, due_on=due)
    async with harness.sending():
        await Poll(harness).brings(issued, overdue, last)
        await harness.settled()
    assert mailed(harness) == []
    assert await templates(harness, "skipped") == ["invoice-issued", "invoice-overdue"]


async def read_until(harness: NotificationsHarness, moment: datetime) -> None:
    """As far as that, the consumer has read."""
    await News(harness.database).note([ReadUntil("booking.sessions.v1", 0, 1, moment)])


@pytest.mark.rule("NOTE-3")
async def test_what_was_held_up_waits_until_later_news_is_read(harness: NotificationsHarness) -> None:
    """The cancellation comes with a later poll: how the session stands is known only once all is read."""
    await harness.everybody()
    await harness.reserved()
    harness.clock.moment = START
    await read_until(harness, datetime.now(UTC) - OUTAGE)
    poll = Poll(harness)
    async with harness.sending():
        await poll.brings(confirmation(harness))

        async def put_off() -> list[Any]:
            return await harness.rows(
                "SELECT id FROM deliveries WHERE status = 'queued' AND reason IS NULL AND attempts = 0"
            )

        await eventually(put_off)
        assert mailed(harness) == []
        await poll.brings(harness.cancelled("provider"))
        await read_until(harness, datetime.now(UTC) + timedelta(minutes=1))
        await harness.settled()
    assert mailed(harness) == ["Your provider cancelled your session."]


@pytest.mark.rule("NOTE-3", "REM-1")
@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_reminder_that_came_due_during_an_outage_waits_until_later_news_is_read(
    harness: NotificationsHarness, cancelled: bool
) -> None:
    await harness.everybody()
    await harness.reserved()
    harness.clock.moment = START - timedelta(hours=30)
    await read_until(harness, datetime.now(UTC) - OUTAGE)
    await harness.happen(
        harness.session(facts.SessionConfirmed, confirmed_by="provider", remind_at=[START - timedelta(hours=24)])
    )
    async with harness.sending():
        await harness.settled()
        before = len(harness.inbox.mails)
        harness.clock.moment = START - timedelta(hours=23)
        assert "reminder" in await harness.handle_due()
        assert await harness.rows("SELECT id FROM deliveries WHERE template LIKE '%reminder'") == [], "nor in the app"
        if cancelled:
            await Poll(harness).brings(
                structs.replace(harness.cancelled("provider"), cancelled_at=harness.clock.moment)
            )
        await read_until(harness, datetime.now(UTC) + timedelta(minutes=1))

        async def judged() -> bool:
            harness.clock.moment += timedelta(seconds=2)
            await harness.handle_due()
            left = await harness.rows("SELECT 1 FROM deadlines WHERE kind = 'reminder'")
            return not left

        await eventually(judged)
        await harness.settled()
    subjects = mailed(harness)[before:]
    assert subjects.count("Your session is coming up.") == (0 if cancelled else 2)
