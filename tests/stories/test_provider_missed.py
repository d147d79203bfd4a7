"""The provider misses a confirmed session, and everything is made good (MISS)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_testkit.platform import Cast, Platform

MISSED = "Your provider missed your scheduled session."
GRACE = timedelta(minutes=10)


async def miss(cast: Cast, session: dict[str, object]) -> None:
    """Lets time pass until the grace of the session is over."""
    await cast.platform.advance_to(datetime.fromisoformat(str(session["starts_at"])) + GRACE)


@pytest.mark.rule("MISS-1", "MISS-2", "MISS-3", "BOOK-1")
async def test_the_credit_comes_back_and_the_member_is_told_without_a_request(cast: Cast) -> None:
    session = await cast.confirmed()
    assert (await cast.credits())["available"] == 3
    async with cast.ticker() as ticker:
        await miss(cast, session)
        seen = await ticker.until("ProviderMissed", "CreditReturned", "SlotReleased", "MessageDelivered")
    after = await cast.settled(session, "provider_missed", "returned")
    assert after["absent_party"] == "both"
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (4, 0)
    mail = await cast.inbox().wait_for(MISSED)
    assert "rebook" in mail["Text"].lower()
    assert "http" in mail["Text"]
    assert any(message["kind"] == "system" and "missed" in message["text"] for message in await cast.chat())
    # What led to what: every consequence names the miss as its cause.
    missed = next(item.received for item in seen if item.name == "ProviderMissed")
    for consequence in ("CreditReturned", "SlotReleased"):
        received = next(item.received for item in seen if item.name == consequence)
        assert received.causation_id == missed.id
        assert received.correlation_id == missed.correlation_id


@pytest.mark.rule("MISS-1")
async def test_only_the_member_in_the_room_is_the_providers_miss(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) - timedelta(minutes=5))
    await cast.member.post(f"/v1/sessions/{session['id']}/join")
    await miss(cast, session)
    after = await cast.settled(session, "provider_missed", "returned")
    assert after["absent_party"] == "provider"


@pytest.mark.rule("MISS-1")
async def test_a_provider_who_joins_within_the_grace_has_not_missed(cast: Cast) -> None:
    session = await cast.confirmed()
    starts_at = datetime.fromisoformat(session["starts_at"])
    await cast.platform.advance_to(starts_at + timedelta(minutes=9))
    await cast.provider.post(f"/v1/sessions/{session['id']}/join")
    await cast.platform.advance_to(starts_at + timedelta(minutes=11))
    assert (await cast.session(session))["status"] == "confirmed"


@pytest.mark.rule("MISS-2", "CRED-3")
async def test_the_credit_comes_back_exactly_once(cast: Cast) -> None:
    session = await cast.confirmed()
    await miss(cast, session)
    await cast.settled(session, "provider_missed", "returned")
    await cast.platform.advance(timedelta(hours=2))
    returns = [entry for entry in await cast.ledger() if entry["kind"] == "return"]
    assert [entry["session_id"] for entry in returns] == [session["id"]]


@pytest.mark.rule("MISS-2")
async def test_a_lot_that_lapses_soon_is_made_good_for_thirty_days(platform: Platform) -> None:
    cast = await platform.cast(plan="sponsored-12", length=45, ends_in=timedelta(days=10))
    session = await cast.confirmed()
    await miss(cast, session)
    await cast.settled(session, "provider_missed", "returned")
    missed_at = datetime.fromisoformat(session["starts_at"]) + GRACE
    made_good = [lot for lot in (await cast.credits())["lots"] if lot["source"] == "make_good"]
    assert len(made_good) == 1
    assert made_good[0]["available"] == 1
    lapses = datetime.fromisoformat(made_good[0]["expires_at"])
    assert timedelta(days=30) <= lapses - missed_at < timedelta(days=30, minutes=5)


@pytest.mark.rule("MISS-3")
async def test_exactly_one_email_is_sent(cast: Cast) -> None:
    session = await cast.confirmed()
    await miss(cast, session)
    inbox = cast.inbox()
    await inbox.wait_for(MISSED)
    await cast.platform.advance(timedelta(days=1))
    assert [mail["Subject"] for mail in await inbox.all()].count(MISSED) == 1
    await inbox.close()


@pytest.mark.rule("MISS-3", "PLAN-1")
async def test_a_pending_co_pay_is_voided(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    session = await cast.confirmed()
    assert session["credit"]["state"] == "none"
    invoices = f"/v1/members/{cast.member.subject}/invoices"

    async def look() -> list[tuple[str, int]]:
        items = (await cast.member.get(invoices))["items"]
        return [(invoice["status"], invoice["amount"]["amount_minor"]) for invoice in items]

    assert await look() == [("pending", 2500)]
    await miss(cast, session)
    await cast.eventually(look, lambda seen: seen == [("void", 2500)])


@pytest.mark.rule("MISS-4")
async def test_the_member_rebooks_at_once_with_the_same_choices(cast: Cast) -> None:
    session = await cast.confirmed()
    await miss(cast, session)
    await cast.settled(session, "provider_missed", "returned")
    again = await cast.book()
    same = ("room_id", "length_minutes", "modality", "member_id", "provider_id")
    assert {name: again[name] for name in same} == {name: session[name] for name in same}
    assert (again["status"], again["credit"]["state"]) == ("reserved", "held")
