"""Extensions over HTTP and topics (EXT)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from makegood_booking.settings import BookingSettings
from makegood_contracts.events import (
    SessionExtended,
    SessionExtensionRequested,
)
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, START
from .harness import Answers, BookingHarness


async def extend(harness: BookingHarness, session: Any, ends_at: Any, *, wait: int = 0, **body: Any) -> httpx.Response:
    headers = {"If-Match": f'"{session["version"]}"'} | ({"Prefer": f"wait={wait}"} if wait else {})
    return await harness.provider.post(
        f"/v1/sessions/{session['id']}/extend", json={"ends_at": ends_at.isoformat(), **body}, headers=headers
    )


@pytest.mark.rule("EXT-1")
async def test_the_provider_extends_a_session_with_an_invoice(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    invoice = {"amount_minor": 2500, "currency": "USD", "due_on": "2026-12-24"}
    asking = asyncio.create_task(extend(harness, session, START + HOUR, wait=10, invoice=invoice))
    asked = await harness.wait_for(SessionExtensionRequested)
    assert isinstance(asked, SessionExtensionRequested)
    assert (asked.ends_at, asked.new_ends_at) == (START + 30 * MINUTE, START + HOUR)
    assert (await harness.read(session))["move"]["state"] == "pending"
    await harness.handle(Answers.slot_moved(session, asked.move_id, START, START + HOUR))
    answer = await asking
    assert (answer.status_code, answer.json()["ends_at"], answer.json()["length_minutes"]) == (
        200,
        "2026-11-27T10:00:00Z",
        60,
    )
    event = await harness.wait_for(SessionExtended)
    assert isinstance(event, SessionExtended)
    assert event.invoice is not None
    assert (event.invoice.amount_minor, event.invoice.currency, str(event.invoice.due_on)) == (
        2500,
        "USD",
        "2026-12-24",
    )


@pytest.mark.rule("EXT-1", "JOIN-2")
async def test_a_session_that_goes_on_longer_is_completed_at_its_new_end(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await harness.advance(START)
    for person in (harness.member, harness.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    harness.clock.moment = START + 25 * MINUTE
    assert (await extend(harness, await harness.read(session), START + 45 * MINUTE)).status_code == 202
    asked = await harness.wait_for(SessionExtensionRequested)
    await harness.handle(Answers.slot_moved(session, asked.move_id, START, START + 45 * MINUTE))
    assert names(await harness.advance(START + 44 * MINUTE)) == []
    assert names(await harness.advance(START + 45 * MINUTE)) == ["SessionCompleted"]


@pytest.mark.rule("EXT-1")
async def test_a_refused_extension_ends_as_planned(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    asking = asyncio.create_task(extend(harness, session, START + HOUR, wait=10))
    asked = await harness.wait_for(SessionExtensionRequested)
    await harness.handle(Answers.slot_stays(session, asked.move_id, "venue-taken"))
    answer = await asking
    assert (answer.status_code, slug(answer), answer.json()["message"]) == (
        409,
        "venue-taken",
        "Venue is not available",
    )
    assert (await harness.read(session))["ends_at"] == session["ends_at"]


@pytest.mark.rule("EXT-1")
async def test_who_extends_what(harness: BookingHarness) -> None:
    session = await harness.reserved()
    early = await extend(harness, session, START + HOUR)
    assert (early.status_code, slug(early)) == (409, "not-confirmed")
    path = f"/v1/sessions/{session['id']}/extend"
    body, headers = {"ends_at": (START + HOUR).isoformat()}, {"If-Match": "*"}
    for person in (harness.member, harness.support):
        assert (await person.post(path, json=body, headers=headers)).status_code == 403
    stranger = harness.client("provider", "stranger")
    assert (await stranger.post(path, json=body, headers=headers)).status_code == 404


NO_MONEY = ("ZZZ", "XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XDR", "CHE", "usd")
CHARGE = ("amount_minor", "currency", "due_on")


@pytest.mark.rule("EXT-1")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ends_at": (START + 30 * MINUTE).isoformat()},
        {"ends_at": (START + timedelta(hours=9)).isoformat()},
        *(
            {"ends_at": (START + HOUR).isoformat(), "invoice": dict(zip(CHARGE, values, strict=False))}
            for values in (
                (0, "USD", "2026-12-24"),
                (5, "usd", "2026-12-24"),
                (5, "ZZZ", "2026-12-24"),
                (5, "XXX", "2026-12-24"),
                (5, "XAU", "2026-12-24"),
                (100_001, "USD", "2026-12-24"),
                (5, "USD", "2026-11-22"),
                (5, "USD", "9999-12-31"),
                (5, "USD"),
            )
        ),
    ],
)
async def test_a_bad_extension_is_refused(harness: BookingHarness, body: Any) -> None:
    session = await harness.confirmed()
    answer = await harness.provider.post(f"/v1/sessions/{session['id']}/extend", json=body, headers={"If-Match": "*"})
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert await harness.read(session) == session


@pytest.mark.rule("EXT-1")
async def test_many_small_invoices_of_a_session_come_to_no_more_than_its_policy_allows(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    ends = START + 30 * MINUTE
    for amount, expected in ((60_000, 202), (40_001, 422), (40_000, 202), (1, 422)):
        invoice = {"amount_minor": amount, "currency": "USD", "due_on": "2026-12-24"}
        answer = await extend(harness, await harness.read(session), ends + 5 * MINUTE, invoice=invoice)
        assert answer.status_code == expected, answer.text
        if expected == 422:
            (error,) = answer.json()["errors"]
            assert error["pointer"] == "#/invoice/amount_minor"
            continue
        asked = next(event for event in await harness.outbox() if isinstance(event, SessionExtensionRequested))
        ends += 5 * MINUTE
        await harness.handle(Answers.slot_moved(session, asked.move_id, START, ends))


@pytest.mark.rule("EXT-1")
def test_a_platform_that_is_set_up_for_some_currencies_knows_only_those_of_iso_4217() -> None:
    given: dict[str, Any] = {
        "MAKEGOOD_ENVIRONMENT": "development",
        "BOOKING_DATABASE_URL": "postgresql://b@127.0.0.1/b",
    }
    given |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "JWKS_URL": "/nowhere"}
    assert BookingSettings(**given, CURRENCIES="USD, EUR").currency_codes == {"USD", "EUR"}
    assert "JPY" in BookingSettings(**given).currency_codes
    for code in NO_MONEY:
        with pytest.raises(ValueError, match=f"not {code}"):
            BookingSettings(**given, CURRENCIES=f"USD,{code}")


@pytest.mark.rule("EXT-1")
@pytest.mark.parametrize("code", NO_MONEY)
async def test_nothing_is_charged_in_what_is_no_money(harness: BookingHarness, code: str) -> None:
    session = await harness.confirmed()
    invoice = {"amount_minor": 100, "currency": code, "due_on": "2026-12-24"}
    answer = await extend(harness, session, START + 35 * MINUTE, invoice=invoice)
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert answer.json()["errors"][0]["pointer"] == "#/invoice/currency"
