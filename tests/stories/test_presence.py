"""Presence decides, not the first join (JOIN-2), and a move at short notice makes no no-show pay (RESC-3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform

MINUTE = timedelta(minutes=1)


def start(session: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(session["starts_at"]))


@pytest.mark.rule("JOIN-2", "MISS-1", "MISS-2")
async def test_a_provider_who_looked_in_before_the_start_and_left_misses_the_session(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session) - 9 * MINUTE)
    await cast.provider.post(f"{path}/join")
    await cast.provider.post(f"{path}/leave")
    await cast.member.post(f"{path}/join")
    await cast.platform.advance_to(start(session) + 10 * MINUTE)
    after = await cast.settled(session, "provider_missed", "returned")
    assert after["absent_party"] == "provider"


@pytest.mark.rule("JOIN-2", "MISS-2")
async def test_a_provider_who_leaves_a_moment_after_they_met_misses_the_session(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session))
    await cast.member.post(f"{path}/join")
    await cast.provider.post(f"{path}/join")
    await cast.platform.advance_to(start(session) + 2 * MINUTE)
    left = await cast.provider.post(f"{path}/leave")
    assert left["status"] == "in_session"
    await cast.platform.advance_to(datetime.fromisoformat(session["ends_at"]))
    after = await cast.settled(session, "provider_missed", "returned")
    assert after["absent_party"] == "provider"
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (4, 0)


@pytest.mark.rule("RESC-3", "NOSH-1")
async def test_a_member_who_does_not_come_after_a_move_at_short_notice_loses_nothing(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    now = await cast.platform.now()
    soon = now.replace(second=0, microsecond=0) + timedelta(minutes=60 - now.minute % 15)
    moved = dict((await cast.move(session, soon, cast.provider)).body)
    assert moved["status"] == "confirmed"
    await cast.platform.advance_to(soon)
    await cast.provider.post(f"/v1/sessions/{session['id']}/join")
    await cast.platform.advance_to(soon + 15 * MINUTE)
    after = await cast.settled(session, "member_no_show", "returned")
    assert after["absent_party"] == "member"
    history = (await cast.member.get(f"/v1/sessions/{session['id']}/history", limit=200))["items"]
    assert (history[-1]["type"], history[-1]["detail"]) == ("MemberNoShow", "credit returned (moved at short notice)")
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (4, 0)


async def in_person(platform: Platform) -> tuple[Cast, dict[str, Any], str]:
    """A confirmed session in person, and the code that its venue shows."""
    cast = await platform.cast(plan="insurance-credits", length=45, modality="in_person")
    ops = platform.person("ops", "ops-of-venues")
    venue = (await ops.post("/v1/venues", {"name": "Room 4", "time_zone": "UTC"}))["id"]
    code = (await ops.post(f"/v1/venues/{venue}/check-in-code"))["code"]
    return cast, dict(await cast.confirmed(venue_id=venue)), str(code)


@pytest.mark.rule("JOIN-3")
async def test_in_person_both_check_in_with_the_code_that_ops_printed(platform: Platform) -> None:
    cast, session, code = await in_person(platform)
    path = f"/v1/sessions/{session['id']}"
    await platform.advance_to(start(session) - 5 * MINUTE)
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"{path}/join", {"venue_code": "0000-0000"})
    assert refusal.value.slug == "check-in-code-wrong"
    for person in (cast.member, cast.provider):
        joined = await person.post(f"{path}/join", {"venue_code": code})
        assert joined["join_url"] is None
    await platform.advance_to(datetime.fromisoformat(session["ends_at"]))
    await cast.settled(session, "completed", "spent")


@pytest.mark.rule("JOIN-3", "MISS-2")
async def test_in_person_a_provider_who_does_not_say_how_it_went_missed_it(platform: Platform) -> None:
    cast, session, _ = await in_person(platform)
    ends_at = datetime.fromisoformat(session["ends_at"])
    async with cast.ticker() as ticker:
        await platform.advance_to(ends_at)
        await ticker.until("OutcomeAsked")
    assert (await cast.session(session))["status"] == "confirmed"
    await platform.advance_to(ends_at + timedelta(hours=24))
    after = await cast.settled(session, "provider_missed", "returned")
    assert after["absent_party"] == "both"
