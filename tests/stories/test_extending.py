"""The provider goes on longer, with an invoice if wanted (EXT-1, CRED-7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Answer, Refused
from makegood_testkit.platform import Cast

QUARTER = timedelta(minutes=15)


async def extend(cast: Cast, session: dict[str, Any], by: timedelta, **more: Any) -> Answer:
    present = await cast.session(session)
    body = {"ends_at": (datetime.fromisoformat(present["ends_at"]) + by).isoformat(), **more}
    return await cast.provider.post(f"/v1/sessions/{session['id']}/extend", body, version=present["version"], wait=15)


async def invoices(cast: Cast) -> list[dict[str, Any]]:
    return list((await cast.member.get(f"/v1/members/{cast.member.subject}/invoices"))["items"])


async def begun(cast: Cast) -> dict[str, Any]:
    """A session in which both are."""
    session = await cast.confirmed(timedelta(days=3))
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) - timedelta(minutes=1))
    for person in (cast.member, cast.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=20))
    return session


@pytest.mark.rule("EXT-1", "CRED-7")
async def test_a_session_goes_on_longer_and_the_member_gets_the_invoice(cast: Cast) -> None:
    session = await begun(cast)
    due_on = (datetime.fromisoformat(session["ends_at"]) + timedelta(days=14)).date().isoformat()
    charge = {"amount_minor": 1500, "currency": "EUR", "due_on": due_on}
    async with cast.ticker() as ticker:
        longer = await extend(cast, session, QUARTER, invoice=charge)
        await ticker.until("SessionExtensionRequested", "SlotMoved", "SessionExtended", "InvoiceIssued")
    assert (longer["status"], longer["length_minutes"]) == ("in_session", 45)
    assert datetime.fromisoformat(longer["ends_at"]) == datetime.fromisoformat(session["ends_at"]) + QUARTER
    (invoice,) = await cast.eventually(lambda: invoices(cast), lambda seen: len(seen) == 1)
    assert (invoice["status"], invoice["session_id"], invoice["due_on"]) == ("issued", session["id"], due_on)
    assert invoice["amount"] == {"amount_minor": 1500, "currency": "EUR"}
    # It ends when it ends now, not before; the credit is spent once.
    await cast.platform.advance_to(datetime.fromisoformat(session["ends_at"]) + timedelta(minutes=1))
    assert (await cast.session(session))["status"] == "in_session"
    await cast.platform.advance_to(datetime.fromisoformat(longer["ends_at"]))
    await cast.settled(session, "completed", "spent")
    await cast.balance(available=3, held=0)


@pytest.mark.rule("EXT-1")
async def test_the_next_session_is_in_the_way(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    rival = await cast.platform.cast(provider=cast.provider)
    next_one = rival.booking_body(datetime.fromisoformat(session["ends_at"]))
    await rival.member.post("/v1/sessions", next_one, wait=15)
    with pytest.raises(Refused) as refusal:
        await extend(cast, session, QUARTER)
    assert (refusal.value.status, refusal.value.slug) == (409, "slot-taken")
    assert refusal.value.problem["message"] == "Provider is not available"
    after = await cast.session(session)
    assert (after["ends_at"], after["status"]) == (session["ends_at"], "confirmed")


@pytest.mark.rule("EXT-1", "RESC-1", "MISS-4")
async def test_what_was_extended_can_be_moved_by_both_and_rebooked_after_a_miss(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    starts_at = datetime.fromisoformat(session["starts_at"])
    await extend(cast, session, QUARTER)
    for days, who in ((1, cast.member), (2, cast.provider)):
        moved = await cast.move(session, starts_at + timedelta(days=days), who=who)
        assert (moved["starts_at"][:10], moved["length_minutes"]) == (str((starts_at + timedelta(days)).date()), 45)
    await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    await cast.platform.advance_to(starts_at + timedelta(days=2, minutes=10))
    await cast.settled(session, "provider_missed", "returned")
    mail = await cast.inbox().wait_for("Your provider missed your scheduled session.")
    assert "length_minutes=30" in mail["Text"]
    await cast.balance(available=4, held=0)


@pytest.mark.rule("EXT-1", "CRED-7", "BOOK-7")
async def test_an_invoice_that_is_not_paid_in_time_blocks_booking(cast: Cast) -> None:
    session = await begun(cast)
    due = datetime.fromisoformat(session["ends_at"]) + timedelta(days=3)
    charge = {"amount_minor": 1500, "currency": "EUR", "due_on": due.date().isoformat()}
    await extend(cast, session, QUARTER, invoice=charge)
    await cast.eventually(lambda: invoices(cast), lambda seen: [item["status"] for item in seen] == ["issued"])
    await cast.platform.advance(timedelta(days=5))
    await cast.eventually(lambda: invoices(cast), lambda seen: [item["status"] for item in seen] == ["overdue"])
    with pytest.raises(Refused) as refusal:
        await cast.book(timedelta(days=3))
    assert (refusal.value.status, refusal.value.slug) == (409, "outstanding-charges")


@pytest.mark.rule("EXT-1", "CANC-1")
async def test_who_gets_an_invoice_before_the_session_began_may_go_without_loss_and_owes_nothing(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=30))
    await cast.platform.advance(timedelta(minutes=16))  # past the time to cool off
    path = f"/v1/sessions/{session['id']}"
    assert (await cast.member.get(f"{path}/policy"))["forfeits_now"] is True
    due_on = (datetime.fromisoformat(session["ends_at"]) + timedelta(days=14)).date().isoformat()
    await extend(cast, session, QUARTER, invoice={"amount_minor": 1500, "currency": "EUR", "due_on": due_on})
    await cast.eventually(lambda: invoices(cast), lambda seen: [item["status"] for item in seen] == ["issued"])
    policy = await cast.member.get(f"{path}/policy")
    assert (policy["forfeits_now"], policy["free_until"]) == (False, session["starts_at"])
    answer = await cast.member.post(f"{path}/cancel", wait=15)
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "returned")
    await cast.eventually(lambda: invoices(cast), lambda seen: [item["status"] for item in seen] == ["void"])
    await cast.balance(available=4, held=0)
