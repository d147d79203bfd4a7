"""What people are told of moves, extensions, corrections, offers, invoices and rooms."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_testkit.service import received

from .conftest import START, NotificationsHarness
from .test_messages import chat, invitation, parts


def text(mail: EmailMessage) -> str:
    return " ".join(parts(mail)["text/plain"].get_content().split())


async def told(harness: NotificationsHarness, person: str) -> list[tuple[str, str]]:
    """(channel, template) of everything that was written down for the person, in order."""
    rows = await harness.rows("SELECT channel, template FROM deliveries WHERE person_id = $1 ORDER BY position", person)
    return [(row[0], row[1]) for row in rows]


@pytest.mark.rule("RESC-4", "RESC-1")
async def test_a_members_move_is_tentative_until_the_provider_confirms_it_again(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        await harness.happen(harness.moved("member", confirm_by=START))
        await harness.settled()  # once it is confirmed again, nobody is told that it is tentative
        await harness.happen(
            harness.session(facts.SessionConfirmed, confirmed_by="provider", starts_at=START + timedelta(hours=1))
        )
        confirmed, moved, again = await harness.inbox.wait_for(harness.ada, 3)
        _, asked, _ = await harness.inbox.wait_for(harness.grace, 3)
    (_, first), (calendar, tentative), (_, last) = invitation(confirmed), invitation(moved), invitation(again)
    assert moved["Subject"] == "Your session was moved."
    assert calendar["METHOD"] == "REQUEST"
    assert [one["SEQUENCE"] for one in (first, tentative, last)] == [0, 1, 2]
    assert [str(one["STATUS"]) for one in (first, tentative, last)] == ["CONFIRMED", "TENTATIVE", "CONFIRMED"]
    assert len({str(one["UID"]) for one in (first, tentative, last)}) == 1
    assert tentative["DTSTART"].dt == START + timedelta(hours=1)
    assert asked["Subject"] == "Your client moved a session."
    assert "Ada Canary gave the session a new time, length or place." in text(asked)
    assert "Confirm by: Tuesday, November 24, 2026, 10:00" in text(asked)
    assert await harness.rows("SELECT status FROM sessions") == [("confirmed",)]


@pytest.mark.rule("RESC-2", "RESC-4")
async def test_a_providers_move_stays_confirmed_and_mails_the_member(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.moved("provider"))
        _, mail = await harness.inbox.wait_for(harness.ada, 2)
        await harness.settled()
    _, event = invitation(mail)
    assert mail["Subject"] == "Your provider moved your session."
    assert (event["SEQUENCE"], str(event["STATUS"])) == (1, "CONFIRMED")
    assert "Before: Tuesday, November 24, 2026, 10:00" in text(mail)
    assert "free of charge" in text(mail)  # RESC-3
    assert await chat(harness) == ["session-confirmed", "session-moved-by-provider"]
    assert await told(harness, harness.provider) == [("email", "to-provider-scheduled")] * 2  # their own doing


@pytest.mark.rule("RESC-2", "RESC-4")
async def test_a_move_without_notice_sends_no_mail_and_raises_the_sequence_all_the_same(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.moved("provider", notify_member=False))
        await harness.happen(harness.cancelled("provider", was_confirmed=True))
        await harness.settled()
        confirmed, cancelled = await harness.inbox.wait_for(harness.ada, 2)
    assert [invitation(mail)[1]["SEQUENCE"] for mail in (confirmed, cancelled)] == [0, 2]
    assert await chat(harness) == ["session-confirmed", "session-moved-by-provider", "session-cancelled-by-provider"]


@pytest.mark.rule("RESC-4")
async def test_a_moved_session_that_nobody_confirms_is_taken_out_of_the_calendar(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        await harness.happen(harness.moved("member", confirm_by=START))
        await harness.settled()
        await harness.happen(harness.session(facts.SessionExpired))
        mails = await harness.inbox.wait_for(harness.ada, 3)
    calendar, event = invitation(mails[2])
    assert (calendar["METHOD"], event["SEQUENCE"]) == ("CANCEL", 2)


@pytest.mark.rule("RESC-4")
async def test_a_session_that_was_never_confirmed_moves_without_an_invitation(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.reserved()
        await harness.happen(harness.moved("member", confirm_by=START))
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert "text/calendar" not in parts(mail)


@pytest.mark.rule("RESC-1")
async def test_a_refused_move_makes_no_message(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    before = await told(harness, harness.member)
    move: dict[str, Any] = {
        "move_id": new_id(), "moved_by": "member", "new_starts_at": START, "new_ends_at": START, "new_length_minutes": 30,
        "new_time_zone": "UTC", "forfeits": False, "decide_by": START,
    }  # fmt: skip
    await harness.happen(
        harness.session(facts.SessionMoveRequested, **move),
        harness.session(facts.SessionMoveRefused, reasons=[], **move),
    )
    assert await told(harness, harness.member) == before
    kinds = await harness.rows("SELECT kind FROM stream ORDER BY position DESC LIMIT 2")
    assert [row[0] for row in kinds] == ["session.changed", "session.changed"]


@pytest.mark.rule("EXT-1", "RESC-4")
async def test_an_extension_is_told_and_its_invoice_mailed_with_amount_and_due_date(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    end = START + timedelta(minutes=60)
    async with harness.sending():
        await harness.confirmed()
        extended = harness.session(
            facts.SessionExtended, ends_at=end, length_minutes=60, move_id=new_id(), old_ends_at=START
        )
        invoice = facts.InvoiceIssued(
            invoice_id=new_id(), member_id=harness.member, session_id=harness.session_id, amount_minor=4050, currency="EUR",
            due_on=date(2026, 12, 8), about="extension",
        )  # fmt: skip
        await harness.happen(extended, invoice)
        _, first, second = await harness.inbox.wait_for(harness.ada, 3)
    assert first["Subject"] == "Your session was extended."
    assert invitation(first)[1]["DTEND"].dt == end
    assert invitation(first)[1]["SEQUENCE"] == 1
    assert second["Subject"] == "Your invoice from Makegood."
    assert "Amount: €40.50" in text(second)
    assert "Due on: December 8, 2026" in text(second)
    assert await harness.rows("SELECT status FROM sessions") == [("confirmed",)]
    assert await chat(harness) == ["session-confirmed", "session-extended"]  # what is owed is no business of the room
    assert ("in_app", "invoice-issued") in await told(harness, harness.member)


@pytest.mark.rule("CRED-7")
async def test_an_overdue_invoice_of_no_session_is_told(harness: NotificationsHarness) -> None:
    await harness.everybody(locale="de")
    overdue = facts.InvoiceOverdue(
        invoice_id=new_id(), member_id=harness.member, amount_minor=2500, currency="USD", due_on=date(2026, 11, 1)
    )
    async with harness.sending():
        await harness.happen(overdue)
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert mail["Subject"] == "Deine Rechnung ist überfällig."
    assert "Betrag: 25,00 $" in text(mail)
    assert "Uhrzeit" not in text(mail)


@pytest.mark.rule("MISS-3")
async def test_of_money_that_goes_back_the_member_is_told(harness: NotificationsHarness) -> None:
    await harness.everybody()
    charge: dict[str, Any] = {
        "member_id": harness.member,
        "amount_minor": 2500,
        "currency": "USD",
        "cause": "corrected",
    }
    async with harness.sending():
        await harness.happen(
            facts.InvoiceVoided(invoice_id=new_id(), **charge, was_due=True),
            facts.InvoiceVoided(invoice_id=new_id(), **charge, was_due=True, refunds=True),
        )
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert mail["Subject"] == "You are getting a refund."
    assert "Amount: $25.00" in text(mail)
    assert "Due on" not in text(mail)
    assert ("in_app", "invoice-refunded") in await told(harness, harness.member)
    assert len(harness.inbox.mails) == 1


@pytest.mark.rule("NOTE-3", "MISS-3")
@pytest.mark.parametrize("settled", ["paid", "void"])
async def test_what_is_queued_about_an_invoice_that_is_settled_is_not_sent(
    harness: NotificationsHarness, settled: str
) -> None:
    await harness.everybody()
    both = [new_id(), new_id()]
    owed: dict[str, Any] = {"member_id": harness.member, "amount_minor": 2500, "currency": "USD"}
    for invoice_id in both:
        await harness.happen(facts.InvoiceOverdue(invoice_id=invoice_id, **owed, due_on=date(2026, 11, 1)))
    if settled == "paid":
        await harness.happen(facts.InvoicePaid(invoice_id=both[0], **owed, paid_at=START))
    else:
        await harness.happen(facts.InvoiceVoided(invoice_id=both[0], **owed, cause="provider_missed"))
    async with harness.sending():
        await harness.settled()
    rows = await harness.rows("SELECT status, reason FROM deliveries WHERE channel = 'email' ORDER BY position")
    assert [tuple(row) for row in rows] == [("skipped", "no-longer-true"), ("sent", None)]
    assert len(harness.inbox.mails) == 1


@pytest.mark.rule("CONF-3")
async def test_the_provider_is_asked_to_confirm_again_by_mail_and_chat(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.session(facts.ReconfirmationAsked), harness.session(facts.SessionReconfirmed))
        _, mail = await harness.inbox.wait_for(harness.grace, 2)
    assert mail["Subject"] == "Please reconfirm your session."
    assert "session with Ada Canary is coming up" in text(mail)
    assert await chat(harness) == ["session-confirmed", "reconfirm-asked", "session-reconfirmed"]


@pytest.mark.rule("JOIN-3")
async def test_the_provider_is_asked_how_a_session_in_person_went_and_not_once_that_is_known(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    asks = {"answer_by": START + timedelta(hours=25)}
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.session(facts.OutcomeAsked, **asks))
        mail = (await harness.inbox.wait_for(harness.grace, 2))[-1]
    assert mail["Subject"] == "How did your session go?"
    assert "Nobody checked in to your session with Ada Canary" in text(mail)
    assert await chat(harness) == ["session-confirmed"]


@pytest.mark.rule("RESC-3")
async def test_a_no_show_after_a_move_at_short_notice_is_said_to_cost_nothing(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.session(facts.MemberNoShow, marked_by="system", forfeits=False))
        mails = await harness.inbox.wait_for(harness.ada, 2)
    assert "you won’t be charged" in text(mails[-1])
    assert "used up" not in text(mails[-1])


@pytest.mark.rule("CANC-1", "NOTE-1")
async def test_the_provider_is_told_when_the_member_cancels(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.cancelled("member"))
        _, mail = await harness.inbox.wait_for(harness.grace, 2)
    assert "Ada Canary cancelled this session." in text(mail)
    assert invitation(mail)[0]["METHOD"] == "CANCEL"
    assert await told(harness, harness.provider) == [
        ("email", "to-provider-scheduled"),
        ("email", "to-provider-cancelled"),
        ("in_app", "to-provider-cancelled"),
    ]


@pytest.mark.rule("MISS-5", "ROOM-4")
async def test_disputes_and_corrections_are_told_to_the_room_and_the_member(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.session(facts.MemberNoShow, marked_by="system"))
        await harness.settled()
        await harness.happen(
            harness.session(facts.OutcomeDisputed, disputed_by="member", claim="i_was_there", outcome="member_no_show"),
            harness.session(
                facts.OutcomeCorrected, old_outcome="member_no_show", outcome="provider_missed", corrected_by="support-1",
                corrected_at=START,
            ),
        )  # fmt: skip
        corrected = facts.CreditCorrected(
            entry_id=new_id(), member_id=harness.member, lot_id=new_id(), amount=1, available_after=1, held_after=0,
            session_id=harness.session_id, hold_id=new_id(), state="returned", source="plan", expires_at=None,
        )  # fmt: skip
        await harness.happen(corrected)
        mails = await harness.inbox.wait_for(harness.ada, 3)
    assert "Now it is recorded that the provider missed it" in text(mails[2])
    assert (await chat(harness))[1:] == ["member-no-show", "outcome-disputed", "outcome-corrected", "credit-corrected"]
    assert await harness.rows("SELECT status FROM sessions") == [("provider_missed",)]


@pytest.mark.rule("ROOM-1", "ROOM-3")
async def test_the_room_tells_of_a_restart_and_of_another_provider(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    room = {"room_id": harness.room_id, "member_id": harness.member, "provider_id": harness.provider}
    changed = facts.ProviderChanged(
        **room, room_version=3, new_room_id=new_id(), new_provider_id="provider-other", changed_at=START
    )
    cancelled = harness.session(
        facts.SessionCancelled, cancelled_by="member", cancelled_at=START, forfeits=False, was_confirmed=True,
        cause="change_of_provider",
    )  # fmt: skip
    async with harness.sending():
        await harness.settled()
        await harness.happen(facts.RoomRestarted(**room, room_version=2, restarted_at=START), changed, cancelled)
        _, mail = await harness.inbox.wait_for(harness.ada, 2)
        others = await harness.inbox.wait_for(harness.grace, 3)
    # Mails about a session keep their order; what is about the room alone comes when it comes.
    (other,) = (one for one in others if one["Subject"] == "A client is continuing with another provider.")
    assert [invitation(one)[0]["METHOD"] for one in others if one is not other] == ["REQUEST", "CANCEL"]
    assert mail["Subject"] == "Your session is cancelled because you changed your provider."
    assert "Time zone" not in text(other)
    expected = ["session-confirmed", "room-restarted", "provider-changed", "session-cancelled-with-provider"]
    assert await chat(harness) == expected
    assert await harness.rows("SELECT status FROM rooms") == [("closed",)]


def offer(harness: NotificationsHarness, **more: Any) -> Any:
    values: dict[str, Any] = {
        "entry_id": new_id(), "provider_id": harness.provider, "member_id": harness.member, "room_id": harness.room_id,
        "length_minutes": 30, "modality": "video", "starts_at": START, "ends_at": START + timedelta(minutes=30),
        "blocked_from": START, "blocked_until": START, "lapses_at": harness.clock.now() + timedelta(hours=2),
    }  # fmt: skip
    return facts.WaitlistOffered(**{**values, **more})


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_of_the_waitlist_is_told_by_chat_mail_and_stream(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    made = offer(harness)
    async with harness.sending():
        await harness.happen(made)
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert mail["Subject"] == "A time you are waiting for is available."
    assert "4:00" in text(mail)  # in New York, where the member lives
    assert "America/New_York" in text(mail)
    assert "Held for you until: Saturday, November 21, 2026, 6:00" in text(mail)
    assert f"https://app.example.org/rooms/{harness.room_id}/book?" in text(mail)
    assert "starts_at=2026-11-24T09%3A00%3A00Z" in text(mail)
    assert await chat(harness) == ["waitlist-offered"]
    rows = await harness.rows("SELECT provider_id, data FROM stream WHERE kind = 'waitlist.offered'")
    assert [tuple(row) for row in rows] == [(None, {"entry_id": made.entry_id, "room_id": harness.room_id})]


@pytest.mark.rule("NOTE-3", "AVAIL-6")
@pytest.mark.parametrize("ending", ["lapsed by itself", "passed on", "booked"])
async def test_an_offer_that_is_over_is_not_mailed_any_more(harness: NotificationsHarness, ending: str) -> None:
    await harness.everybody()
    await harness.reserved()
    made = offer(harness)
    await harness.happen(made)
    entry = {
        name: getattr(made, name)
        for name in ("entry_id", "provider_id", "member_id", "room_id", "length_minutes", "modality")
    }
    if ending == "passed on":
        await harness.happen(facts.WaitlistOfferLapsed(**entry, starts_at=START))
    elif ending == "booked":
        await harness.happen(facts.WaitlistEnded(**entry, cause="booked", starts_at=START))
    else:
        harness.clock.moment += timedelta(hours=2)
    async with harness.sending():
        await harness.settled()
    assert harness.inbox.mails == []
    reasons = await harness.rows("SELECT reason FROM deliveries WHERE channel = 'email'")
    assert reasons == [("no-longer-true",)]


@pytest.mark.rule("NOTE-3")
async def test_questions_and_reminders_that_came_too_late_are_not_sent(harness: NotificationsHarness) -> None:
    """The mail server was away while the session was cancelled; each of them stands in the queue."""
    await harness.everybody()
    await harness.confirmed()
    await harness.happen(harness.session(facts.ReconfirmationAsked))
    earlier = datetime.now(UTC) - timedelta(hours=2)
    await harness.handle(received(harness.moved("member", confirm_by=START), time=earlier))
    await harness.happen(harness.session(facts.SessionDeclined))
    async with harness.sending():
        await harness.settled()
    skipped = await harness.rows("SELECT template FROM deliveries WHERE reason = 'no-longer-true' ORDER BY template")
    assert [row[0] for row in skipped] == [
        "reconfirm-asked", "session-confirmed", "session-moved-by-member", "to-provider-moved", "to-provider-scheduled",
        "to-provider-unscheduled",
    ]  # fmt: skip


@pytest.mark.rule("NOTE-1")
async def test_who_wants_no_chat_messages_gets_none_and_the_room_keeps_its_history(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody(channels={"chat": False})
    await harness.confirmed()
    assert await chat(harness) == ["session-confirmed"]
    assert await harness.rows("SELECT status FROM deliveries WHERE channel = 'chat'") == [("skipped",)]
