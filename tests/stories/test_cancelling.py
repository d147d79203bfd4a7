"""Cancelling (CANC)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_contracts.events import SessionCancelled
from makegood_devtools.client import Refused
from makegood_testkit.platform import WHAT, Cast

COOLED_OFF = timedelta(minutes=16)


@pytest.mark.rule("CANC-1")
async def test_the_member_cancels_with_notice_and_the_credit_returns(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=49))
    answer = await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "returned")
    assert (await cast.credits())["available"] == 4


@pytest.mark.rule("CANC-1")
async def test_with_less_notice_the_request_must_accept_the_forfeit(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=47))
    path = f"/v1/sessions/{session['id']}/cancel"
    await cast.platform.advance(COOLED_OFF)
    with pytest.raises(Refused) as refusal:
        await cast.member.post(path, wait=15)
    assert (refusal.value.status, refusal.value.slug) == (409, "forfeit-not-accepted")
    assert refusal.value.problem["policy"]["forfeits_now"] is True
    assert (await cast.session(session))["status"] == "confirmed"
    answer = await cast.member.post(path, {"accept_forfeit": True}, wait=15)
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "forfeited")
    assert (await cast.credits())["available"] == 3


@pytest.mark.rule("CANC-1")
async def test_what_was_booked_just_now_is_cancelled_without_loss_whatever_the_notice(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=3))
    answer = await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "returned")
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CANC-1")
async def test_a_member_who_waits_for_the_provider_goes_without_loss(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=3))
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=5))
    await cast.member.post(f"{path}/join")
    policy = await cast.member.get(f"{path}/policy")
    assert (policy["cancellable"], policy["forfeits_now"]) == (True, False)
    answer = await cast.member.post(f"{path}/cancel", wait=15)
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "returned")
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CANC-1")
async def test_notice_is_elapsed_time_at_the_very_moment(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    starts_at = datetime.fromisoformat(session["starts_at"])
    await cast.platform.advance_to(starts_at - timedelta(hours=48) + timedelta(seconds=1))
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    assert refusal.value.slug == "forfeit-not-accepted"


@pytest.mark.rule("CANC-2", "CANC-3", "NOTE-1")
async def test_the_provider_cancels_at_any_time_and_everything_returns(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=3))
    canary = WHAT
    async with cast.ticker() as ticker:
        answer = await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", {"remark": canary}, wait=15)
        seen = await ticker.until("SessionCancelled", "SlotReleased", "CreditReturned", "MessageDelivered")
    assert (answer["status"], answer["credit"]["state"]) == ("cancelled", "returned")
    assert not any(canary in str(item.received.event) for item in seen)
    mails = await cast.eventually(
        cast.inbox().all, lambda mails: any("cancelled" in mail["Subject"].lower() for mail in mails)
    )
    assert mails
    # The slot is open again: another member takes it.
    other = await cast.platform.cast(provider=cast.provider)
    again = await other.member.post(
        "/v1/sessions", other.booking_body(datetime.fromisoformat(session["starts_at"])), wait=15
    )
    assert again["status"] == "reserved"


@pytest.mark.rule("CANC-1", "CANC-2", "NOTE-1", "SEC-3")
@pytest.mark.parametrize(
    ("by", "subject"),
    [("member", "One of your sessions is cancelled."), ("provider", "Your provider cancelled your session.")],
)
async def test_a_shared_remark_reaches_the_other_party_and_stands_in_no_topic(
    cast: Cast, by: str, subject: str
) -> None:
    session = await cast.confirmed(timedelta(hours=60))
    author, reader = (cast.member, cast.provider) if by == "member" else (cast.provider, cast.member)
    remark = f"I am ill, says {WHAT}."
    body = {"remark": remark, "share_remark": True}
    async with cast.platform.ticker(lambda _: True) as ticker:
        answer = await author.post(f"/v1/sessions/{session['id']}/cancel", body, wait=15)
        seen = await ticker.until("SessionCancelled", "SlotReleased", "CreditReturned", "MessageDelivered")
    assert (answer["status"], answer["remark_shared"]) == ("cancelled", True)
    (cancelled,) = [
        item.received.event
        for item in seen
        if isinstance(item.received.event, SessionCancelled) and item.received.event.session_id == session["id"]
    ]
    assert cancelled.sealed_remark
    assert not any(WHAT in str(item.received.event) for item in seen)

    mail = await cast.inbox(reader).wait_for(subject)
    assert f"> {remark}" in mail["Text"]
    assert remark in mail["HTML"]
    chat = (await reader.get(f"/v1/rooms/{cast.room_id}/messages"))["items"]
    (said,) = [item for item in chat if item["template"] == "cancellation-remark"]
    assert (said["sender_id"], said["text"]) == (author.subject, remark)


@pytest.mark.rule("CANC-1")
async def test_a_session_that_is_over_cannot_be_cancelled(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}/cancel"
    await cast.member.post(path, wait=15)
    with pytest.raises(Refused) as refusal:
        await cast.member.post(path, wait=15)
    assert refusal.value.slug == "session-over"


@pytest.mark.rule("CANC-1")
async def test_a_change_honours_if_match(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}/cancel"
    stale = await cast.member.send("POST", path, {}, version=session["version"] - 1)
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/version-mismatch")
    fresh = await cast.member.post(path, version=session["version"], wait=15)
    assert fresh["status"] == "cancelled"
