"""When a session did not end as recorded: support returns by hand, parties dispute, support corrects (MISS-5, CRED-5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import WHAT, Cast, Platform


async def no_show(cast: Cast) -> dict[str, Any]:
    """A session that the provider joined and the member did not."""
    session = await cast.confirmed(timedelta(days=1))
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]))
    await cast.provider.post(f"/v1/sessions/{session['id']}/join")
    await cast.platform.advance(timedelta(minutes=15))
    return await cast.settled(session, "member_no_show", "forfeited")


async def correct(cast: Cast, session: dict[str, Any], outcome: str) -> Any:
    body = {"outcome": outcome, "reason": f"The log shows it. {WHAT}"}
    return await cast.support.post(f"/v1/sessions/{session['id']}/correct", body)


@pytest.mark.rule("MISS-5", "CRED-5", "CRED-4")
async def test_support_returns_a_credit_by_hand_and_only_once(cast: Cast) -> None:
    session = await no_show(cast)
    path = f"/v1/members/{cast.member.subject}/adjustments"
    body = {"amount": 1, "session_id": session["id"], "reason": f"They were ill. {WHAT}"}
    await cast.support.post(path, body)
    await cast.settled(session, "member_no_show", "returned")
    await cast.balance(available=4, held=0)
    with pytest.raises(Refused) as refusal:
        await cast.support.post(path, body)
    assert (refusal.value.status, refusal.value.slug) == (409, "credit-already-returned")
    await cast.balance(available=4, held=0)
    (returned,) = [entry for entry in await cast.ledger() if entry["kind"] == "return"]
    assert (returned["session_id"], returned["made_by"]) == (session["id"], cast.support.subject)
    assert WHAT in returned["reason"]


@pytest.mark.rule("MISS-5")
async def test_a_credit_that_came_back_by_itself_does_not_come_back_by_hand(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=1))
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=10))
    await cast.settled(session, "provider_missed", "returned")
    body = {"amount": 1, "session_id": session["id"], "reason": "Once more"}
    with pytest.raises(Refused) as refusal:
        await cast.support.post(f"/v1/members/{cast.member.subject}/adjustments", body)
    assert refusal.value.slug == "credit-already-returned"
    await cast.balance(available=4, held=0)


@pytest.mark.rule("MISS-5")
async def test_either_party_disputes_and_nothing_changes_until_support_decides(cast: Cast) -> None:
    session = await no_show(cast)
    path = f"/v1/sessions/{session['id']}/dispute"
    async with cast.ticker() as ticker:
        await cast.member.post(path, {"claim": "i_was_there", "note": f"My camera broke. {WHAT}"})
        await cast.provider.post(path, {"claim": "they_were_not"})
        seen = await ticker.until("OutcomeDisputed", "OutcomeDisputed")
    assert {item.received.event.disputed_by for item in seen if item.name == "OutcomeDisputed"} == {
        "member",
        "provider",
    }
    after = await cast.session(session)
    assert (after["status"], after["credit"]["state"]) == ("member_no_show", "forfeited")
    # What the member wrote is for support; the provider does not read it.
    read = {}
    for name, person in (("support", cast.support), ("member", cast.member), ("provider", cast.provider)):
        read[name] = str((await person.get(f"/v1/sessions/{session['id']}/history", limit=200)).body)
    assert WHAT in read["support"]
    assert WHAT not in read["provider"]


@pytest.mark.rule("MISS-5", "CRED-1")
async def test_support_corrects_and_the_ledger_follows_by_new_entries(cast: Cast) -> None:
    session = await no_show(cast)
    before = await cast.ledger()
    await correct(cast, session, "provider_missed")
    await cast.settled(session, "provider_missed", "returned")
    await cast.balance(available=4, held=0)
    # And the other way round: what came back is taken again, by an entry, and nothing that was entered has changed.
    await correct(cast, session, "completed")
    await cast.settled(session, "completed", "spent")
    await cast.balance(available=3, held=0)
    after = await cast.ledger()
    assert after[: len(before)] == before
    assert [entry["session_id"] for entry in after[len(before) :]] == [session["id"]] * 2
    assert sum(entry["kind"] == "return" for entry in after) <= 1


@pytest.mark.rule("MISS-5")
async def test_a_credit_that_was_used_meanwhile_is_not_taken_away(platform: Platform) -> None:
    cast = await platform.cast()
    session = await no_show(cast)
    await correct(cast, session, "provider_missed")
    await cast.balance(available=4, held=0)
    for day in range(4):
        await cast.book(timedelta(days=3 + day))
    await cast.balance(available=0, held=4)
    await correct(cast, session, "completed")
    await cast.eventually(lambda: cast.session(session), lambda seen: seen["status"] == "completed")
    # No balance is ever negative: it stays returned.
    await cast.balance(available=0, held=4)
    await cast.settled(session, "completed", "returned")


@pytest.mark.rule("MISS-5", "CRED-7")
async def test_a_co_pay_follows_a_corrected_outcome(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    session = await cast.confirmed(timedelta(days=1))
    await cast.attended(session)

    async def invoice() -> str:
        (found,) = (await cast.member.get(f"/v1/members/{cast.member.subject}/invoices"))["items"]
        return str(found["status"])

    await cast.eventually(invoice, lambda status: status == "issued")
    await correct(cast, session, "provider_missed")
    await cast.eventually(invoice, lambda status: status == "void")


@pytest.mark.rule("MISS-5")
async def test_what_has_no_outcome_is_neither_disputed_nor_corrected(cast: Cast) -> None:
    session = await cast.confirmed()
    for call in (
        cast.member.post(f"/v1/sessions/{session['id']}/dispute", {"claim": "i_was_there"}),
        correct(cast, session, "completed"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert (refusal.value.status, refusal.value.slug) == (409, "no-outcome")
