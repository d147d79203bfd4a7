"""Providers and support book for members (BOOK-5, BOOK-6)."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from makegood_contracts.events import MemberEnrolled, SessionRequested
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug

from .examples import NOW, START
from .harness import Answers, BookingHarness


async def book_as(harness: BookingHarness, role: str, subject: str, body: Any, wait: int = 0) -> httpx.Response:
    headers = {"Idempotency-Key": new_id()} | ({"Prefer": f"wait={wait}"} if wait else {})
    return await harness.client(role, subject).post("/v1/sessions", json=body, headers=headers)


@pytest.mark.rule("BOOK-5")
async def test_the_rooms_provider_books_and_the_session_is_confirmed_at_once(harness: BookingHarness) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book_as(harness, "provider", "dr-lee", harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    assert (await harness.wait_for(SessionRequested)).booked_by == "provider"
    await harness.handle(Answers.slot_held(asked))
    await harness.handle(Answers.credit_held(asked))
    answer = await asking
    assert (answer.status_code, answer.json()["status"], answer.json()["credit"]) == (
        201,
        "confirmed",
        {"state": "held"},
    )
    assert names(await harness.outbox())[-3:] == ["SessionRequested", "SessionReserved", "SessionConfirmed"]
    items = (await harness.member.get(f"/v1/sessions/{asked['id']}/history")).json()["items"]
    assert [item["by"] for item in items] == ["provider", "system", "provider"]


@pytest.mark.rule("BOOK-5")
async def test_without_a_credit_the_provider_books_nothing(harness: BookingHarness) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book_as(harness, "provider", "dr-lee", harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    await harness.handle(Answers.slot_held(asked))
    await harness.handle(Answers.credit_refused(asked))
    answer = await asking
    assert (answer.status_code, slug(answer)) == (409, "no-session-credits")


@pytest.mark.rule("BOOK-5", "SEC-1")
async def test_in_a_room_that_is_not_theirs_nobody_books(harness: BookingHarness) -> None:
    room_id = await harness.room()
    for role, subject in (("provider", "dr-may"), ("provider", "anna"), ("member", "dr-lee")):
        answer = await book_as(harness, role, subject, harness.booking_body(room_id))
        assert (answer.status_code, slug(answer)) == (404, "not-found")
    answer = await book_as(harness, "ops", "olga", harness.booking_body(room_id))
    assert (answer.status_code, slug(answer)) == (403, "forbidden")


def enrolled(kind: Any, starts_on: str, ends_on: str | None = None) -> MemberEnrolled:
    return MemberEnrolled(
        enrolment_id=new_id(),
        member_id="anna",
        plan_id="plan",
        plan_kind=kind,
        starts_on=date.fromisoformat(starts_on),
        ends_on=date.fromisoformat(ends_on) if ends_on else None,
        time_zone="UTC",
        lengths=[30],
        psychiatry_lengths=[],
        modalities=["video", "audio"],
        live_credits=None,
        purchasable=False,
    )


@pytest.mark.rule("BOOK-6")
async def test_support_books_video_for_members_with_health_insurance_alone(harness: BookingHarness) -> None:
    room_id = await harness.room()
    nobody = await book_as(harness, "support", "sam", harness.booking_body(room_id))
    assert (nobody.status_code, slug(nobody)) == (403, "support-may-not")
    await harness.handle(enrolled("health_insurance", "2026-11-01", "2026-11-28"))
    answer = await book_as(harness, "support", "sam", harness.booking_body(room_id))
    assert (answer.status_code, answer.json()["status"]) == (202, "requested")
    assert (await harness.wait_for(SessionRequested)).booked_by == "support"
    after = START + timedelta(days=3)
    for body in (harness.booking_body(room_id, modality="audio"), harness.booking_body(room_id, after)):
        refused = await book_as(harness, "support", "sam", body)
        assert (refused.status_code, slug(refused)) == (403, "support-may-not")
    elsewhere = await book_as(harness, "support", "sam", harness.booking_body(new_id()))
    assert (elsewhere.status_code, slug(elsewhere)) == (404, "not-found")


@pytest.mark.rule("BOOK-6")
async def test_support_books_for_no_other_plan(harness: BookingHarness) -> None:
    room_id = await harness.room()
    await harness.handle(enrolled("eap", "2026-11-01"))
    answer = await book_as(harness, "support", "sam", harness.booking_body(room_id))
    assert (answer.status_code, slug(answer)) == (403, "support-may-not")


@pytest.mark.rule("ROOM-2")
async def test_what_others_book_for_a_member_is_no_activity_of_the_members(harness: BookingHarness) -> None:
    room_id = await harness.room()
    harness.clock.moment = NOW + timedelta(hours=5)
    await book_as(harness, "provider", "dr-lee", harness.booking_body(room_id))
    seen = [(await harness.member.get(f"/v1/rooms/{room_id}")).json()["last_activity_at"]]
    await book_as(harness, "member", "anna", harness.booking_body(room_id))
    seen.append((await harness.member.get(f"/v1/rooms/{room_id}")).json()["last_activity_at"])
    assert seen == ["2026-11-23T09:00:00Z", "2026-11-23T14:00:00Z"]
