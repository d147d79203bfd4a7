"""Rooms close and restart, and a member goes on with another provider (ROOM)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast

COOLED_OFF = timedelta(minutes=16)


@pytest.mark.rule("ROOM-1")
async def test_closing_a_room_keeps_what_is_booked_and_takes_nothing_new(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    closed = await cast.provider.post(f"/v1/rooms/{cast.room_id}/close")
    assert closed["status"] == "closed"
    assert (await cast.session(session))["status"] == "confirmed"
    with pytest.raises(Refused) as refusal:
        await cast.book(timedelta(days=6))
    assert (refusal.value.status, refusal.value.slug) == (409, "room-closed")
    await cast.balance(available=3, held=1)
    restarted = await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    assert (restarted["id"], restarted["status"]) == (cast.room_id, "active")
    assert (await cast.book(timedelta(days=6)))["status"] == "reserved"


@pytest.mark.rule("ROOM-1")
async def test_restarting_a_room_that_is_open_changes_nothing(cast: Cast) -> None:
    before = await cast.member.get(f"/v1/rooms/{cast.room_id}")
    after = await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    assert (after["status"], after["version"]) == ("active", before["version"])


@pytest.mark.rule("ROOM-3", "CANC-3")
async def test_a_change_of_provider_cancels_what_lies_ahead_without_loss_whatever_the_notice(cast: Cast) -> None:
    late, ahead = await cast.confirmed(timedelta(hours=5)), await cast.book(timedelta(days=5))
    other = await cast.platform.cast(plan=None)
    async with cast.ticker() as ticker:
        path = f"/v1/rooms/{cast.room_id}/change-provider"
        room = await cast.member.post(path, {"provider_id": other.provider.subject})
        seen = await ticker.until(*["SessionCancelled"] * 2, *["CreditReturned"] * 2, "RoomClosed", "ProviderChanged")
    causes = {item.received.event.cause for item in seen if item.name == "SessionCancelled"}
    assert causes == {"change_of_provider"}
    assert (room["provider_id"], room["status"]) == (other.provider.subject, "active")
    for session in (late, ahead):
        await cast.settled(session, "cancelled", "returned")
    await cast.balance(available=4, held=0)
    old = await cast.member.get(f"/v1/rooms/{cast.room_id}")
    assert old["status"] == "closed"
    # The first provider's time is free again, and the member books with the second.
    rival = await cast.platform.cast(provider=cast.provider)
    assert (await rival.book(timedelta(days=5)))["status"] == "reserved"
    cast.room_id, cast.provider = str(room["id"]), other.provider
    assert (await cast.book(timedelta(days=3)))["status"] == "reserved"


@pytest.mark.rule("ROOM-3")
async def test_a_mistyped_provider_is_refused_and_nothing_changes(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(hours=5))
    path = f"/v1/rooms/{cast.room_id}"
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"{path}/change-provider", {"provider_id": f"{cast.provider.subject}-mistyped"})
    assert (refusal.value.status, refusal.value.slug) == (409, "provider-unavailable")
    assert (await cast.member.get(path))["status"] == "active"
    assert (await cast.session(session))["status"] == "confirmed"
    await cast.balance(available=3, held=1)


@pytest.mark.rule("ROOM-3", "CANC-1")
async def test_changing_the_provider_there_and_back_does_not_evade_the_notice(cast: Cast) -> None:
    other = await cast.platform.cast(plan=None)
    late = await cast.confirmed(timedelta(hours=5))
    await cast.platform.advance(COOLED_OFF)
    there = await cast.member.post(f"/v1/rooms/{cast.room_id}/change-provider", {"provider_id": other.provider.subject})
    await cast.settled(late, "cancelled", "returned")
    back = await cast.member.post(f"/v1/rooms/{there['id']}/change-provider", {"provider_id": cast.provider.subject})
    cast.room_id = str(back["id"])
    again = await cast.confirmed(timedelta(hours=5))
    await cast.platform.advance(COOLED_OFF)
    path = f"/v1/rooms/{cast.room_id}/change-provider"
    with pytest.raises(Refused) as refusal:
        await cast.member.post(path, {"provider_id": other.provider.subject})
    assert (refusal.value.status, refusal.value.slug) == (409, "forfeit-not-accepted")
    assert (await cast.session(again))["status"] == "confirmed"
    await cast.member.post(path, {"provider_id": other.provider.subject, "accept_forfeit": True})
    await cast.settled(again, "cancelled", "forfeited")
    await cast.balance(available=3, held=0)
