"""What cancelling costs, as the policy tells it and as it comes out (CANC-1, EXT-1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from .examples import HOUR, MINUTE, NOW, START
from .test_api_moving import move
from .world import Answers, World, slug

SOON = NOW + 3 * HOUR


async def cancel(world: World, session: Any, **body: Any) -> httpx.Response:
    return await world.member.post(f"/v1/sessions/{session['id']}/cancel", json=body)


async def policy(world: World, session: Any) -> Any:
    return (await world.member.get(f"/v1/sessions/{session['id']}/policy")).json()


async def is_free(world: World, session: Any, until: datetime) -> None:
    """The policy says so, and cancelling does it."""
    told = await policy(world, session)
    assert (told["forfeits_now"], datetime.fromisoformat(told["free_until"])) == (False, until)
    await world.outbox()
    assert (await cancel(world, session)).status_code == 202
    assert (await world.published("SessionCancelled")).forfeits is False


async def is_forfeited(world: World, session: Any) -> None:
    told = await policy(world, session)
    assert told["forfeits_now"] is True
    refused = await cancel(world, session)
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    assert refused.json()["policy"] == told


@pytest.mark.rule("CANC-1", "BOOK-3")
async def test_a_booking_cools_off_and_the_policy_says_so(world: World) -> None:
    current = (await world.member.get("/v1/policies/current")).json()
    assert current["cooling_off_minutes"] == 15
    assert "Within 15 minutes of booking you can cancel without loss, whatever the notice" in current["text"]
    first, second = await world.confirmed(SOON), await world.confirmed(SOON + HOUR)
    assert first["policy"]["cooling_off_minutes"] == 15
    world.clock.moment = NOW + 15 * MINUTE
    await is_free(world, first, NOW + 15 * MINUTE)
    world.clock.moment += MINUTE
    await is_forfeited(world, second)


@pytest.mark.rule("CANC-1", "RESC-1")
async def test_a_move_is_not_free_while_the_booking_cools_off(world: World) -> None:
    session = await world.confirmed(SOON)
    refused = await move(world.member, session, START)
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    told = refused.json()["policy"]
    assert (told["forfeits_now"], datetime.fromisoformat(told["free_until"])) == (True, SOON - 48 * HOUR)


@pytest.mark.rule("CANC-1")
async def test_from_the_start_on_it_is_free_while_the_provider_is_not_there(world: World) -> None:
    session, other = await world.confirmed(), await world.confirmed(START + HOUR)
    await world.pass_time(START + 5 * MINUTE)
    assert (await world.member.post(f"/v1/sessions/{session['id']}/join")).status_code == 200
    await is_free(world, session, START + 10 * MINUTE)
    await world.pass_time(START + HOUR + MINUTE)
    assert (await world.provider.post(f"/v1/sessions/{other['id']}/join")).status_code == 200
    await is_forfeited(world, other)


@pytest.mark.rule("EXT-1", "CANC-1")
async def test_an_invoice_before_the_session_began_makes_it_free(world: World) -> None:
    session = await world.confirmed()
    world.clock.moment = START - HOUR
    await world.outbox()
    invoice = {"amount_minor": 2500, "currency": "USD", "due_on": "2026-12-24"}
    asked = await world.provider.post(
        f"/v1/sessions/{session['id']}/extend",
        json={"ends_at": (START + HOUR).isoformat(), "invoice": invoice},
        headers={"If-Match": f'"{session["version"]}"'},
    )
    assert asked.status_code == 202, asked.text
    event = await world.published("SessionExtensionRequested")
    await world.handle(Answers.slot_moved(session, event.move_id, START, START + HOUR))
    await is_free(world, session, START)
