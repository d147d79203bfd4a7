"""MISS-4: a message leads to other times only where they can be booked at the moment when it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id
from makegood_notifications.handlers.account import erase
from makegood_testkit.databases import as_owner

from .conftest import START, NotificationsHarness
from .test_changes import text
from .test_messages import chat

PROMISE = {"en": "book a new time", "de": "führt zu neuen Terminen"}
OPEN = {"en": "Open the session", "de": "Sitzung öffnen"}


def closed(harness: NotificationsHarness, version: int = 2, **more: Any) -> Any:
    return facts.RoomClosed(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=version,
        closed_at=START, **more,
    )  # fmt: skip


def restarted(harness: NotificationsHarness) -> Any:
    return facts.RoomRestarted(
        room_id=harness.room_id,
        member_id=harness.member,
        provider_id=harness.provider,
        room_version=3,
        restarted_at=START,
    )


def changed_provider(harness: NotificationsHarness) -> Any:
    return facts.ProviderChanged(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=3, changed_at=START,
        new_room_id=new_id(), new_provider_id="provider-linus",
    )  # fmt: skip


def another_room(harness: NotificationsHarness) -> Any:
    return facts.RoomOpened(
        room_id=new_id(), member_id=harness.member, provider_id=harness.provider, room_version=1, opened_at=START
    )


async def forget_deliveries(harness: NotificationsHarness) -> None:
    """All but those of the news that the member gets."""
    async with as_owner(harness.database.url) as owner:
        await owner.execute(
            "DELETE FROM deliveries WHERE template IN ('session-confirmed', 'provider-gone') OR template LIKE 'to-provider-%'"
        )


async def told(harness: NotificationsHarness, *events: Any, locale: str = "en") -> tuple[str, dict[str, Any]]:
    """The mail's text and the WhatsApp message of a miss, after these events, none of which is mailed before it."""
    await harness.only_member(locale=locale, phone="+44 161 496 0000", channels={"whatsapp": True})
    await harness.confirmed()
    await harness.happen(*events)
    await harness.happen(harness.missed())
    await forget_deliveries(harness)
    async with harness.sending():
        await harness.settled()
    (mail,), (message,) = harness.inbox.mails, await harness.whatsapp.messages()
    return " ".join(text(mail).split()), message


def promises(
    harness: NotificationsHarness, mail: str, message: dict[str, Any], promised: bool, locale: str = "en"
) -> None:
    """All of it does, or none."""
    book = f"rooms/{harness.room_id}/book?"
    assert (PROMISE[locale] in mail) is (book in mail) is message["Path"].startswith(book) is promised
    assert (OPEN[locale] in mail) is not promised
    assert message["Template"] == f"makegood_provider_missed{'' if promised else '_closed'}"
    if not promised:
        assert message["Path"] == f"sessions/{harness.session_id}"


@pytest.mark.rule("MISS-4", "NOTE-3")
@pytest.mark.parametrize("locale", ["en", "de"])
async def test_after_the_member_left_the_room_nothing_is_promised(harness: NotificationsHarness, locale: str) -> None:
    mail, message = await told(harness, closed(harness, closed_by="member"), changed_provider(harness), locale=locale)
    promises(harness, mail, message, False, locale)


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
    harness: NotificationsHarness, news: list[tuple[Any, dict[str, Any]]], promised: bool
) -> None:
    mail, message = await told(harness, *(event(harness, **more) for event, more in news))
    promises(harness, mail, message, promised)


@pytest.mark.rule("MISS-4", "NOTE-5")
async def test_with_a_provider_who_is_erased_nothing_can_be_booked(harness: NotificationsHarness) -> None:
    """Also before the news of their rooms."""
    await harness.only_member(phone="+44 161 496 0000", channels={"whatsapp": True})
    await harness.confirmed()
    await harness.happen(harness.missed())
    await forget_deliveries(harness)
    async with harness.database.transaction(Cause(new_id(), new_id())) as unit:
        await erase(unit, harness.provider, "asked", harness.provider)
    async with harness.sending():
        await harness.settled()
    (mail,), (message,) = harness.inbox.mails, await harness.whatsapp.messages()
    promises(harness, " ".join(text(mail).split()), message, False)


@pytest.mark.rule("MISS-4", "ROOM-4")
async def test_the_chat_stands_for_good_so_it_promises_nothing(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    await harness.happen(harness.missed())
    assert await chat(harness) == ["session-confirmed", "provider-missed"]
    rows = await harness.rows("SELECT text FROM chat_messages WHERE template = 'provider-missed'")
    assert "choose" not in rows[0][0]


@pytest.mark.rule("NOTE-3")
@pytest.mark.parametrize("shut", [False, True])
@pytest.mark.parametrize("by", ["member", "provider", "system"])
async def test_other_messages_lead_to_times_only_while_the_room_is_open(
    harness: NotificationsHarness, by: str, shut: bool
) -> None:
    """A closed room is opened again by what was missed in it, and by nothing else."""
    await harness.only_member()
    await harness.confirmed()
    await harness.happen(harness.cancelled(by))
    await forget_deliveries(harness)
    if shut:
        await harness.happen(closed(harness, closed_by="provider"))
    async with harness.sending():
        await harness.settled()
    mail = text(harness.inbox.mails[0])
    assert (f"rooms/{harness.room_id}/book?" in mail) is not shut
    assert ("Open the session" in mail) is shut
    assert "can book another time" not in mail or not shut
