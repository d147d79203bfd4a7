"""Booking for a member: by the provider of the room, by support, and what support may not (BOOK-5, BOOK-6, CANC-4)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform

CONFIRMED = "Your session is confirmed! Mark your calendar."


@pytest.mark.rule("BOOK-5")
async def test_what_the_provider_books_is_confirmed_at_once_and_costs_a_credit(cast: Cast) -> None:
    async with cast.ticker() as ticker:
        session = await cast.provider.post(
            "/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=3))), wait=15
        )
        seen = await ticker.until("SessionReserved", "SessionConfirmed", "MessageDelivered")
    assert (session.status, session["status"], session["credit"]["state"]) == (201, "confirmed", "held")
    assert [item.name for item in seen].count("SessionConfirmed") == 1
    await cast.balance(available=3, held=1)
    await cast.inbox().wait_for(CONFIRMED)
    history = (await cast.member.get(f"/v1/sessions/{session['id']}/history"))["items"]
    assert history[0]["by"] == "provider"


@pytest.mark.rule("BOOK-5", "BOOK-4")
async def test_a_provider_cannot_book_what_the_member_has_no_credit_for(platform: Platform) -> None:
    cast = await platform.cast(plan="messaging-only")
    with pytest.raises(Refused) as refusal:
        await cast.provider.post("/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=3))), wait=15)
    assert (refusal.value.status, refusal.value.slug) == (409, "plan-excludes-live-sessions")


@pytest.mark.rule("BOOK-5")
async def test_a_provider_books_in_no_room_but_their_own(cast: Cast) -> None:
    other = await cast.platform.cast()
    body = cast.booking_body(await cast.start_in(timedelta(days=3)))
    answer = await other.provider.send("POST", "/v1/sessions", body, key="a-room-of-others", wait=15)
    assert answer.status_code == 404
    await cast.balance(available=4, held=0)


@pytest.mark.rule("BOOK-6")
async def test_support_books_video_for_a_member_with_health_insurance(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-credits", length=45)
    session = await cast.booked_by_support(await cast.start_in(timedelta(days=3)))
    assert (session["status"], session["credit"]["state"]) == ("reserved", "held")
    confirmed = await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    assert confirmed["status"] == "confirmed"


@pytest.mark.rule("BOOK-6")
@pytest.mark.parametrize(
    ("plan", "length", "modality"),
    [
        ("insurance-credits", 45, "audio"),
        ("out-of-pocket-4", 30, "video"),
        ("eap-6", 45, "video"),
        ("sponsored-12", 45, "video"),
    ],
)
async def test_support_books_nothing_else(platform: Platform, plan: str, length: int, modality: str) -> None:
    cast = await platform.cast(plan=plan, length=length, modality=modality)
    before = await cast.credits()
    with pytest.raises(Refused) as refusal:
        await cast.support.post("/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=3))), wait=15)
    assert (refusal.value.status, refusal.value.slug) == (403, "support-may-not")
    assert await cast.credits() == before
    assert (await cast.member.get("/v1/sessions"))["items"] == []


@pytest.mark.rule("CANC-4")
async def test_support_neither_cancels_nor_moves_a_session_of_anybody(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-credits", length=45)
    start = await cast.start_in(timedelta(days=4))
    session = await cast.booked_by_support(start)
    path = f"/v1/sessions/{session['id']}"
    later = {"starts_at": (start + timedelta(hours=2)).isoformat()}
    for change, body in (("cancel", {}), ("cancel", {"accept_forfeit": True}), ("reschedule", later)):
        answer = await cast.support.send("POST", f"{path}/{change}", body, version=session["version"], wait=15)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/support-may-not")
    after = await cast.session(session.body)
    assert (after["status"], datetime.fromisoformat(after["starts_at"])) == ("reserved", start)
    assert after["version"] == session["version"]
