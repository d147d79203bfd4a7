"""CONF-1: a change that the member is not mailed about (RESC-2) takes no message away that they are owed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.domain.deliveries import CurrentState, caught_up
from makegood_notifications.domain.notices import Content, Details

from .conftest import START, NotificationsHarness, told
from .test_changes import text
from .test_messages import chat, invitation, parts
from .test_stale_messages import Poll, confirmation, extension

QUIETLY: dict[str, Any] = {"notify_member": False}
LATER = START + timedelta(hours=1)
CONFIRMED = "Your session is confirmed! Mark your calendar."
MOVED = "Your provider moved your session."


def to_ada(harness: NotificationsHarness) -> list[Any]:
    return [mail for mail in harness.inbox.mails if mail["To"].addresses[0].addr_spec == harness.ada]


def subjects(harness: NotificationsHarness) -> list[str]:
    return [str(mail["Subject"]) for mail in to_ada(harness)]


def is_now(mail: Any, sequence: int, start: datetime = LATER) -> None:
    """The mail and its invitation name this start."""
    calendar, event = invitation(mail)
    assert (calendar["METHOD"], event["SEQUENCE"], str(event["STATUS"])) == ("REQUEST", sequence, "CONFIRMED")
    assert event["DTSTART"].dt == start
    berlin = start + timedelta(hours=1)
    assert berlin.strftime("%H:%M") in parts(mail)["text/plain"].get_content()


@pytest.mark.rule("CONF-1", "NOTE-3", "RESC-2")
async def test_a_confirmation_that_a_quiet_move_overtook_is_mailed_with_the_time_that_holds(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.reserved()
    async with harness.sending():
        await Poll(harness).brings(confirmation(harness), harness.moved("provider", **QUIETLY))
        await harness.settled()
    (mail,) = to_ada(harness)
    assert mail["Subject"] == CONFIRMED
    is_now(mail, sequence=1)
    assert await chat(harness) == ["session-confirmed", "session-moved-by-provider"]


@pytest.mark.rule("CONF-1", "NOTE-3", "RESC-2")
async def test_so_is_one_that_waited_for_the_mail_server(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    await harness.happen(
        harness.moved("provider", **QUIETLY),
        harness.moved("provider", start=LATER + timedelta(hours=1), old_starts_at=LATER, **QUIETLY),
    )
    async with harness.sending():
        await harness.settled()
    (mail,) = to_ada(harness)
    assert mail["Subject"] == CONFIRMED
    is_now(mail, sequence=2, start=LATER + timedelta(hours=1))


@pytest.mark.rule("CONF-1", "NOTE-1")
async def test_it_names_the_venue_to_which_the_session_was_moved(harness: NotificationsHarness) -> None:
    await harness.everybody()
    old, new = new_id(), new_id()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": old}
    for venue_id, name in ((old, "Garden Practice"), (new, "Tower Rooms")):
        await harness.happen(
            facts.VenuePublished(
                venue_id=venue_id, venue_version=1, name=name, place="Leeds", time_zone="Europe/London"
            )
        )
    await harness.happen(
        harness.session(facts.SessionReserved, confirm_by=START, **here),
        harness.session(facts.SessionConfirmed, confirmed_by="provider", **here),
        harness.moved("provider", start=START, **{**here, "venue_id": new, "old_venue_id": old}, **QUIETLY),
    )
    async with harness.sending():
        await harness.settled()
    (mail,) = to_ada(harness)
    assert mail["Subject"] == CONFIRMED
    assert "Tower Rooms, Leeds" in text(mail)
    assert "Garden" not in text(mail)
    assert str(invitation(mail)[1]["LOCATION"]) == "Tower Rooms, Leeds"


@pytest.mark.rule("CONF-1", "RESC-2")
async def test_of_a_move_that_is_mailed_the_mail_takes_its_place(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    async with harness.sending():
        await Poll(harness).brings(confirmation(harness), harness.moved("provider"))
        await harness.settled()
    (mail,) = to_ada(harness)
    assert mail["Subject"] == MOVED
    is_now(mail, sequence=1)


@pytest.mark.rule("RESC-2", "NOTE-3")
async def test_of_two_moves_the_mailed_one_names_where_the_quiet_one_led(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        start = LATER + timedelta(hours=1)
        await Poll(harness).brings(
            harness.moved("provider"), harness.moved("provider", start=start, old_starts_at=LATER, **QUIETLY)
        )
        await harness.settled()
    assert subjects(harness) == [CONFIRMED, MOVED]
    is_now(to_ada(harness)[1], sequence=2, start=start)
    assert "Before: Tuesday, November 24, 2026, 10:00" in text(to_ada(harness)[1])


@pytest.mark.rule("CONF-1", "RESC-2", "NOTE-3")
async def test_moved_back_with_another_length_it_is_not_what_the_member_knows(harness: NotificationsHarness) -> None:
    """The mail of the move takes the place of the confirmation, so it has to go out."""
    await harness.everybody()
    await harness.confirmed()
    away, longer = START + timedelta(days=1), timedelta(minutes=45)
    await harness.happen(
        harness.moved("provider", start=away, ends_at=away + longer, length_minutes=45),
        harness.moved(
            "provider", start=START, ends_at=START + longer, length_minutes=45, old_starts_at=away, old_ends_at=away + longer,
            **QUIETLY,
        ),
    )  # fmt: skip
    async with harness.sending():
        await harness.settled()
    (mail,) = to_ada(harness)
    assert mail["Subject"] == MOVED
    is_now(mail, sequence=2, start=START)
    assert "Before: 10:00 AM – 10:30 AM" in text(mail).replace("\u00a0", " ")
    assert "10:00 AM – 10:45 AM" in text(mail).replace("\u00a0", " ")


@pytest.mark.rule("CONF-1", "EXT-1")
async def test_an_extension_does_not_stand_for_the_confirmation(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    async with harness.sending():
        await Poll(harness).brings(confirmation(harness), extension(harness))
        await harness.settled()
    assert subjects(harness) == [CONFIRMED, "Your session was extended."]
    assert {invitation(mail)[1]["DTEND"].dt for mail in to_ada(harness)} == {START + timedelta(minutes=45)}


@pytest.mark.rule("CONF-1", "NOTE-3")
async def test_of_a_session_that_is_over_nothing_is_confirmed(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    harness.clock.moment = START + timedelta(hours=3)
    async with harness.sending():
        await Poll(harness).brings(
            confirmation(harness), harness.moved("provider", **QUIETLY), harness.cancelled("provider")
        )
        await harness.settled()
    assert subjects(harness) == ["Your provider cancelled your session."]


@pytest.mark.rule("CONF-1", "RESC-2", "NOTE-1")
async def test_whatsapp_tells_it_as_well(harness: NotificationsHarness) -> None:
    await harness.everybody(phone="+44 161 496 0000", channels={"whatsapp": True})
    await harness.confirmed()
    await harness.happen(harness.moved("provider", **QUIETLY))
    async with harness.sending():
        await harness.settled()
    (message,) = await harness.whatsapp.messages()
    assert "confirmed" in str(message)
    assert "11:00" in str(message)
    assert "10:00" not in str(message)


SAID = Content(
    "s", "r", "m", "p", START, LATER, 60, "video", "UTC", "v", method="REQUEST", sequence=3,
    details=Details(was_at=START - timedelta(hours=2), was_venue_id="v"),
)  # fmt: skip
NOW = CurrentState(
    "confirmed", LATER, LATER + timedelta(minutes=45), "w", time_zone="Asia/Tokyo", length_minutes=45,
    invitation_sequence=5,
)  # fmt: skip


@pytest.mark.rule("CONF-1", "RESC-2")
@pytest.mark.parametrize(
    ("template", "state", "expected"),
    [
        ("session-confirmed", NOW, True),
        ("session-extended", NOW, True),
        ("session-moved-by-provider", NOW, True),
        ("session-confirmed", replace(NOW, told_later=True), False),
        ("session-confirmed", replace(NOW, status="reserved"), False),
        ("session-confirmed", replace(NOW, status="cancelled"), False),
        ("session-confirmed", CurrentState(), False),
        ("session-moved-by-member", NOW, False),
        ("to-provider-moved", NOW, False),
        ("to-provider-scheduled", NOW, False),
        ("session-zone-changed", NOW, False),  # it says that the session takes place at the same moment as before
        ("session-zone-changed", replace(NOW, starts_at=START, ends_at=LATER, venue_id="v"), True),
        ("reminder", NOW, False),
        # moved back: what the member knows holds
        ("session-moved-by-provider", replace(NOW, starts_at=START - timedelta(hours=2), venue_id="v"), False),
    ],
    ids=str,
)
def test_only_what_is_owed_and_not_told_otherwise_catches_up(
    template: str, state: CurrentState, expected: bool
) -> None:
    now = caught_up(told(template, SAID), state).content
    assert (now != SAID) is expected
    if expected:
        there = now.starts_at, now.ends_at, now.length_minutes, now.venue_id, now.time_zone, now.sequence
        length, sequence = state.length_minutes, state.invitation_sequence
        assert there == (
            state.starts_at, state.ends_at, length, state.venue_id, state.time_zone, sequence
        )  # fmt: skip
        assert now.details is not None
        assert now.details.elsewhere is (template == "session-moved-by-provider")


@pytest.mark.rule("CONF-1", "RESC-2")
@pytest.mark.parametrize(("minutes", "expected"), [(60, False), (75, True), (45, True)])
def test_moved_back_means_with_the_length_of_before(minutes: int, expected: bool) -> None:
    was_at = START - timedelta(hours=2)
    said = replace(SAID, details=Details(was_at=was_at, was_until=was_at + timedelta(minutes=60), was_venue_id="v"))
    stands = replace(NOW, starts_at=was_at, ends_at=was_at + timedelta(minutes=minutes), venue_id="v")
    assert (caught_up(told("session-moved-by-provider", said), stands).content != said) is expected


def test_a_tentative_move_stays_one() -> None:
    said, state = replace(SAID, tentative=True), replace(NOW, status="reserved")
    assert caught_up(told("session-moved-by-provider", said), state).content.tentative
    assert caught_up(told("session-moved-by-provider", said), NOW).content == said, (
        "it was confirmed, which has a message of its own"
    )


def test_what_holds_is_said_as_it_was() -> None:
    stands = CurrentState("confirmed", START, LATER, "v", time_zone="UTC", length_minutes=60, invitation_sequence=5)
    notice = told("session-confirmed", SAID)
    assert caught_up(notice, stands) is notice
    assert caught_up(notice, replace(stands, time_zone="Asia/Tokyo")) is notice
