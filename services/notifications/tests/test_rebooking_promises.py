"""MISS-4: a message leads to other times only where they can be booked at the moment when it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id
from makegood_notifications.handlers.account import erase
from makegood_testkit.databases import as_owner

from .conftest import START, World
from .test_changes import text
from .test_messages import chat

PROMISE = {"en": "book a new time", "de": "führt zu neuen Terminen"}
OPEN = {"en": "Open the session", "de": "Sitzung öffnen"}


def closed(world: World, version: int = 2, **more: Any) -> Any:
    return facts.RoomClosed(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=version,
        closed_at=START, **more,
    )  # fmt: skip


def restarted(world: World) -> Any:
    return facts.RoomRestarted(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=3, restarted_at=START
    )


def changed_provider(world: World) -> Any:
    return facts.ProviderChanged(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=3, changed_at=START,
        new_room_id=new_id(), new_provider_id="provider-linus",
    )  # fmt: skip


def another_room(world: World) -> Any:
    return facts.RoomOpened(
        room_id=new_id(), member_id=world.member, provider_id=world.provider, room_version=1, opened_at=START
    )


async def forget_deliveries(world: World) -> None:
    """All but those of the news that the member gets."""
    async with as_owner(world.service.database.url) as owner:
        await owner.execute(
            "DELETE FROM deliveries WHERE template IN ('session-confirmed', 'provider-gone') OR template LIKE 'to-provider-%'"
        )


async def told(world: World, *events: Any, locale: str = "en") -> tuple[str, dict[str, Any]]:
    """The mail's text and the WhatsApp message of a miss, after these events, none of which is mailed before it."""
    await world.only_member(locale=locale, phone="+44 161 496 0000", channels={"whatsapp": True})
    await world.confirmed()
    await world.happen(*events)
    await world.happen(world.missed())
    await forget_deliveries(world)
    async with world.sending():
        await world.settled()
    (mail,), (message,) = world.inbox.mails, await world.whatsapp.messages()
    return " ".join(text(mail).split()), message


def promises(world: World, mail: str, message: dict[str, Any], promised: bool, locale: str = "en") -> None:
    """All of it does, or none."""
    book = f"rooms/{world.room_id}/book?"
    assert (PROMISE[locale] in mail) is (book in mail) is message["Path"].startswith(book) is promised
    assert (OPEN[locale] in mail) is not promised
    assert message["Template"] == f"makegood_provider_missed{'' if promised else '_closed'}"
    if not promised:
        assert message["Path"] == f"sessions/{world.session_id}"


@pytest.mark.rule("MISS-4", "NOTE-3")
@pytest.mark.parametrize("locale", ["en", "de"])
async def test_after_the_member_left_the_room_nothing_is_promised(world: World, locale: str) -> None:
    mail, message = await told(world, closed(world, closed_by="member"), changed_provider(world), locale=locale)
    promises(world, mail, message, False, locale)


@pytest.mark.rule("MISS-4", "NOTE-3")
@pytest.mark.parametrize(
    ("news", "promised"),
    [
        ([], True),
        ([(closed, {"closed_by": "provider"})], True),  # rebooking opens the room again
        ([(closed, {"closed_by": "support"})], True),
        ([(closed, {"closed_by": "member"})], False),
        ([(closed, {"closed_by": "member"}), (restarted, {})], True),
        ([(closed, {"closed_by": "provider"}), (another_room, {})], False),  # two rooms of the same two are never open
        ([(closed, {"closed_by": "system", "erased": "provider"})], False),
        ([(closed, {})], False),  # by an earlier release: nobody knows
    ],
)
async def test_what_is_promised_is_what_booking_allows(
    world: World, news: list[tuple[Any, dict[str, Any]]], promised: bool
) -> None:
    mail, message = await told(world, *(event(world, **more) for event, more in news))
    promises(world, mail, message, promised)


@pytest.mark.rule("MISS-4", "NOTE-5")
async def test_with_a_provider_who_is_erased_nothing_can_be_booked(world: World) -> None:
    """Also before the news of their rooms."""
    await world.only_member(phone="+44 161 496 0000", channels={"whatsapp": True})
    await world.confirmed()
    await world.happen(world.missed())
    await forget_deliveries(world)
    async with world.service.database.transaction(Cause(new_id(), new_id())) as unit:
        await erase(unit, world.provider, "asked", world.provider)
    async with world.sending():
        await world.settled()
    (mail,), (message,) = world.inbox.mails, await world.whatsapp.messages()
    promises(world, " ".join(text(mail).split()), message, False)


@pytest.mark.rule("MISS-4", "ROOM-4")
async def test_the_chat_stands_for_good_so_it_promises_nothing(world: World) -> None:
    await world.only_member()
    await world.confirmed()
    await world.happen(world.missed())
    assert await chat(world) == ["session-confirmed", "provider-missed"]
    rows = await world.rows("SELECT text FROM chat_messages WHERE template = 'provider-missed'")
    assert "choose" not in rows[0][0]


@pytest.mark.rule("NOTE-3")
@pytest.mark.parametrize("shut", [False, True])
@pytest.mark.parametrize("by", ["member", "provider", "system"])
async def test_other_messages_lead_to_times_only_while_the_room_is_open(world: World, by: str, shut: bool) -> None:
    """A closed room is opened again by what was missed in it, and by nothing else."""
    await world.only_member()
    await world.confirmed()
    await world.happen(world.cancelled(by))
    await forget_deliveries(world)
    if shut:
        await world.happen(closed(world, closed_by="provider"))
    async with world.sending():
        await world.settled()
    mail = text(world.inbox.mails[0])
    assert (f"rooms/{world.room_id}/book?" in mail) is not shut
    assert ("Open the session" in mail) is shut
    assert "can book another time" not in mail or not shut
