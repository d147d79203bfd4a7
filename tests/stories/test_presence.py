"""Presence decides, not the first join (JOIN-2), and a move at short notice makes no no-show pay (RESC-3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_testkit.platform import Cast

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
