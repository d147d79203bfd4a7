"""Reminders, by themselves and by hand, and the provider who is asked again (REM-1, CONF-3, NOTE-3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Person, Refused
from makegood_testkit.platform import Cast

REMINDER = "Your session is coming up."
CONFIRM_AGAIN = "Please reconfirm your session."
HOUR = timedelta(hours=1)


def start(session: Any) -> datetime:
    return datetime.fromisoformat(str(session["starts_at"]))


async def mails(cast: Cast, subject: str, person: Person | None = None) -> int:
    """How many mails with this subject somebody has, the member unless it is `person`."""
    inbox = cast.inbox(person)
    try:
        return [mail["Subject"] for mail in await inbox.all()].count(subject)
    finally:
        await inbox.close()


async def reminded(cast: Cast, times: int) -> None:
    """The member has been reminded so often by e-mail, and not once more when everything has settled."""
    await cast.eventually(lambda: mails(cast, REMINDER), lambda seen: seen >= times)
    await cast.platform.advance(timedelta(seconds=1))
    assert await mails(cast, REMINDER) == times


@pytest.mark.rule("REM-1", "NOTE-3", "RESC-1")
async def test_after_a_move_the_reminders_are_those_of_the_new_time(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    moved = await cast.move(session, start(session) + 48 * HOUR, cast.provider)
    await cast.platform.advance_to(start(session))
    await reminded(cast, 0)
    await cast.platform.advance_to(start(moved) - 24 * HOUR + timedelta(minutes=1))
    await reminded(cast, 1)


@pytest.mark.rule("REM-1")
async def test_of_a_session_that_is_not_confirmed_or_over_nobody_is_reminded(cast: Cast) -> None:
    session = await cast.book(timedelta(days=4))
    path = f"/v1/sessions/{session['id']}/reminders"
    with pytest.raises(Refused) as refusal:
        await cast.provider.post(path, {"channel": "email"})
    assert (refusal.value.status, refusal.value.slug) == (409, "not-confirmed")
    await cast.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)

    async def refused() -> str:
        answer = await cast.provider.send("POST", path, {"channel": "email"})
        return str(answer.json()["type"])

    await cast.eventually(refused, lambda slug: slug == "/problems/session-over")


@pytest.mark.rule("CONF-3")
async def test_as_the_session_approaches_the_provider_is_asked_again(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    async with cast.ticker() as ticker:
        await cast.platform.advance_to(start(session) - 48 * HOUR)
        await ticker.until("ReconfirmationAsked")
        await cast.eventually(lambda: mails(cast, CONFIRM_AGAIN, cast.provider), lambda seen: seen == 1)
        again = await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
        await ticker.until("SessionReconfirmed")
    assert again["status"] == "confirmed"
    # Whoever does not answer still has the session: it was confirmed.
    assert (await cast.session(session))["status"] == "confirmed"
