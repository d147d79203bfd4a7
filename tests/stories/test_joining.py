"""Joining, completing, and members who do not come (JOIN, NOSH)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast


def start(session: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(session["starts_at"]))


def end(session: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(session["ends_at"]))


@pytest.mark.rule("JOIN-1")
async def test_joining_opens_ten_minutes_before_the_start_and_not_sooner(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}/join"
    await cast.platform.advance_to(start(session) - timedelta(minutes=11))
    with pytest.raises(Refused) as refusal:
        await cast.member.post(path)
    assert (refusal.value.status, refusal.value.slug) == (409, "too-early-to-join")
    await cast.platform.advance_to(start(session) - timedelta(minutes=10))
    joined = await cast.member.post(path)
    assert joined["join_url"].startswith("http")
    assert joined["session"]["id"] == session["id"]


@pytest.mark.rule("JOIN-1")
async def test_only_the_two_parties_of_a_confirmed_session_join(cast: Cast) -> None:
    session = await cast.book(timedelta(minutes=45))
    path = f"/v1/sessions/{session['id']}/join"
    await cast.platform.advance_to(start(session) - timedelta(minutes=5))
    stranger = await cast.platform.cast()
    for person in (stranger.member, stranger.provider):
        answer = await person.send("POST", path)
        assert answer.status_code == 404
    assert (await cast.support.send("POST", path)).status_code == 403
    with pytest.raises(Refused) as refusal:
        await cast.member.post(path)
    assert refusal.value.slug == "not-confirmed"


@pytest.mark.rule("JOIN-1", "JOIN-2")
async def test_a_session_both_attended_is_completed_and_its_credit_spent(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session) - timedelta(minutes=5))
    await cast.member.post(f"{path}/join")
    await cast.provider.post(f"{path}/join")
    assert (await cast.session(session))["status"] == "confirmed"
    await cast.platform.advance_to(start(session))
    assert (await cast.session(session))["status"] == "in_session"
    await cast.member.post(f"{path}/leave")
    assert (await cast.session(session))["status"] == "in_session"
    await cast.platform.advance_to(end(session))
    await cast.settled(session, "completed", "spent")
    history = [item["type"] for item in (await cast.member.get(f"{path}/history", limit=200))["items"]]
    assert {"SessionJoined", "SessionLeft", "SessionStarted", "SessionCompleted"} <= set(history)
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (3, 0)


@pytest.mark.rule("NOSH-1")
async def test_a_member_who_does_not_come_is_a_no_show_after_fifteen_minutes(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.platform.advance_to(start(session))
    await cast.provider.post(f"/v1/sessions/{session['id']}/join")
    await cast.platform.advance_to(start(session) + timedelta(minutes=14))
    assert (await cast.session(session))["status"] == "confirmed"
    await cast.platform.advance_to(start(session) + timedelta(minutes=15))
    after = await cast.settled(session, "member_no_show", "forfeited")
    assert after["absent_party"] == "member"
    listed = (await cast.member.get("/v1/sessions", room_id=cast.room_id, status="member_no_show"))["items"]
    assert [item["id"] for item in listed] == [session["id"]]


@pytest.mark.rule("NOSH-1")
async def test_an_absent_provider_does_not_keep_the_credit_by_marking_a_no_show(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session) + timedelta(seconds=47))
    with pytest.raises(Refused) as refusal:
        await cast.provider.post(f"{path}/no-show")
    assert refusal.value.slug == "no-show-not-possible"
    await cast.platform.advance_to(start(session) + timedelta(minutes=10))
    await cast.settled(session, "provider_missed", "returned")


@pytest.mark.rule("NOSH-1")
async def test_a_provider_in_the_room_marks_a_no_show_from_ten_minutes_after_the_start(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session) + timedelta(minutes=1))
    await cast.provider.post(f"{path}/join")
    with pytest.raises(Refused) as refusal:
        await cast.provider.post(f"{path}/no-show")
    assert refusal.value.slug == "no-show-not-possible"
    await cast.platform.advance_to(start(session) + timedelta(minutes=10))
    marked = await cast.provider.post(f"{path}/no-show")
    assert marked["status"] == "member_no_show"
    await cast.settled(session, "member_no_show", "forfeited")


@pytest.mark.rule("NOSH-1")
async def test_a_member_who_was_there_is_no_no_show(cast: Cast) -> None:
    session = await cast.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await cast.platform.advance_to(start(session))
    await cast.member.post(f"{path}/join")
    await cast.member.post(f"{path}/leave")
    await cast.provider.post(f"{path}/join")
    await cast.platform.advance_to(start(session) + timedelta(minutes=10))
    with pytest.raises(Refused) as refusal:
        await cast.provider.post(f"{path}/no-show")
    assert refusal.value.slug == "no-show-not-possible"
