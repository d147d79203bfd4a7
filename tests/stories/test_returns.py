"""Credits that come back after a change of plan, and what they are good for (MISS-2, MISS-4, PLAN-1)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform

MONTH = timedelta(days=30)


async def enrol(cast: Cast, plan_id: str) -> None:
    """Another plan from today on, or the same one again."""
    body = {"plan_id": plan_id, "starts_on": (await cast.platform.now()).date().isoformat()}
    await cast.support.put(f"/v1/members/{cast.member.subject}/enrolment", body)


@pytest.mark.rule("MISS-2", "MISS-4", "CANC-2")
async def test_a_provider_cancels_after_the_plan_was_replaced_and_the_credit_can_be_used(cast: Cast) -> None:
    session = await cast.confirmed()
    await enrol(cast, "eap-6")
    await cast.balance(available=6, held=1)
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    await cast.settled(session, "cancelled", "returned")
    credits = await cast.balance(available=7, held=0)
    (made_good,) = [lot for lot in credits["lots"] if lot["source"] == "make_good"]
    assert made_good["made_for_minutes"] == 30
    assert datetime.fromisoformat(made_good["expires_at"]) > await cast.platform.now() + MONTH - timedelta(hours=1)
    assert [entry["kind"] for entry in await cast.ledger()][-1] == "return", "and it does not lapse"
    again = await cast.book(timedelta(days=6))
    assert (again["status"], again["length_minutes"]) == ("reserved", 30)
    with pytest.raises(Refused) as refused:
        await cast.book(timedelta(days=7))
    assert refused.value.slug == "length-not-in-plan", "one credit, one session"


@pytest.mark.rule("MISS-4")
async def test_a_missed_session_is_booked_again_after_coverage_has_ended(platform: Platform) -> None:
    cast = await platform.cast(plan="sponsored-12", length=45, ends_in=timedelta(days=2))
    session = await cast.confirmed(timedelta(days=1))
    await platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=10))
    await cast.settled(session, "provider_missed", "returned")
    await platform.advance(timedelta(days=4))
    credits = await cast.balance(available=1, held=0)
    assert [lot["source"] for lot in credits["lots"]] == ["make_good"]
    again = await cast.book(timedelta(days=2))
    assert again["status"] == "reserved"
    assert platform.audit() == []


@pytest.mark.rule("PLAN-1")
async def test_a_plan_that_is_resumed_the_same_day_has_its_credits(cast: Cast) -> None:
    await cast.confirmed()
    await enrol(cast, "eap-6")
    await cast.balance(available=6, held=1)
    await enrol(cast, "out-of-pocket-4")
    await cast.balance(available=3, held=1)
    assert (await cast.book(timedelta(days=5)))["status"] == "reserved"
    assert cast.platform.audit() == []


@pytest.mark.rule("CRED-2", "BOOK-4")
async def test_the_balance_says_when_the_next_credits_come(cast: Cast) -> None:
    coming = (await cast.credits())["next_credits"]
    assert coming["credits"] == 4
    starts = datetime.fromisoformat(coming["available_from"])
    assert timedelta(days=27) < starts - await cast.platform.now() < timedelta(days=32)
    with pytest.raises(Refused) as refused:
        await cast.book(starts - await cast.platform.now() + timedelta(days=1))
    assert refused.value.slug == "no-session-credits"
