"""What cancelling costs, as the policy tells it and as it comes out (CANC-1, EXT-1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest
from makegood_contracts.events import SessionCancelled, SessionExtensionRequested
from makegood_testkit.service import slug

from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness
from .test_api_moving import move

SOON = NOW + 3 * HOUR


async def cancel(harness: BookingHarness, session: Any, **body: Any) -> httpx.Response:
    return await harness.member.post(f"/v1/sessions/{session['id']}/cancel", json=body)


async def policy(harness: BookingHarness, session: Any) -> Any:
    return (await harness.member.get(f"/v1/sessions/{session['id']}/policy")).json()


async def is_free(harness: BookingHarness, session: Any, until: datetime) -> None:
    """The policy says so, and cancelling does it."""
    told = await policy(harness, session)
    assert (told["forfeits_now"], datetime.fromisoformat(told["free_until"])) == (False, until)
    await harness.outbox()
    assert (await cancel(harness, session)).status_code == 202
    assert (await harness.wait_for(SessionCancelled)).forfeits is False


async def is_forfeited(harness: BookingHarness, session: Any) -> None:
    told = await policy(harness, session)
    assert told["forfeits_now"] is True
    refused = await cancel(harness, session)
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    assert refused.json()["policy"] == told


@pytest.mark.rule("CANC-1", "BOOK-3")
async def test_a_booking_cools_off_and_the_policy_says_so(harness: BookingHarness) -> None:
    current = (await harness.member.get("/v1/policies/current")).json()
    assert current["cooling_off_minutes"] == 15
    assert "Within 15 minutes of booking you can cancel without loss, whatever the notice" in current["text"]
    first, second = await harness.confirmed(SOON), await harness.confirmed(SOON + HOUR)
    assert first["policy"]["cooling_off_minutes"] == 15
    harness.clock.moment = NOW + 15 * MINUTE
    await is_free(harness, first, NOW + 15 * MINUTE)
    harness.clock.moment += MINUTE
    await is_forfeited(harness, second)


@pytest.mark.rule("CANC-1", "RESC-1")
async def test_a_move_is_not_free_while_the_booking_cools_off(harness: BookingHarness) -> None:
    session = await harness.confirmed(SOON)
    refused = await move(harness.member, session, START)
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    told = refused.json()["policy"]
    assert (told["forfeits_now"], datetime.fromisoformat(told["free_until"])) == (True, SOON - 48 * HOUR)


@pytest.mark.rule("CANC-1")
async def test_from_the_start_on_it_is_free_while_the_provider_is_not_there(harness: BookingHarness) -> None:
    session, other = await harness.confirmed(), await harness.confirmed(START + HOUR)
    await harness.advance(START + 5 * MINUTE)
    assert (await harness.member.post(f"/v1/sessions/{session['id']}/join")).status_code == 200
    await is_free(harness, session, START + 10 * MINUTE)
    await harness.advance(START + HOUR + MINUTE)
    assert (await harness.provider.post(f"/v1/sessions/{other['id']}/join")).status_code == 200
    await is_forfeited(harness, other)


@pytest.mark.rule("EXT-1", "CANC-1")
async def test_an_invoice_before_the_session_began_makes_it_free(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START - HOUR
    await harness.outbox()
    invoice = {"amount_minor": 2500, "currency": "USD", "due_on": "2026-12-24"}
    asked = await harness.provider.post(
        f"/v1/sessions/{session['id']}/extend",
        json={"ends_at": (START + HOUR).isoformat(), "invoice": invoice},
        headers={"If-Match": f'"{session["version"]}"'},
    )
    assert asked.status_code == 202, asked.text
    event = await harness.wait_for(SessionExtensionRequested)
    await harness.handle(Answers.slot_moved(session, event.move_id, START, START + HOUR))
    await is_free(harness, session, START)
