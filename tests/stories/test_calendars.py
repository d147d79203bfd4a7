"""A session as a calendar file, a feed behind a secret address, and as a FHIR Appointment (RESC-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from icalendar import Calendar
from makegood_testkit.platform import Cast


def events(content: bytes) -> dict[str, Any]:
    """UID → event."""
    return {str(event["UID"]): event for event in Calendar.from_ical(content).walk("VEVENT")}


async def fetched(cast: Cast, url: str) -> httpx.Response:
    """What anybody gets who knows the address, without a token."""
    return await cast.platform.gateway.http.get(urlsplit(url).path)


@pytest.mark.rule("RESC-4")
async def test_the_feed_follows_the_sessions_and_can_be_revoked(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    path = f"/v1/people/{cast.member.subject}/calendar-feed"
    url = (await cast.member.post(path))["url"]

    async def starts() -> list[datetime]:
        answer = await fetched(cast, url)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/calendar")
        return [event.decoded("DTSTART").astimezone(UTC) for event in events(answer.content).values()]

    assert await cast.eventually(starts, bool) == [datetime.fromisoformat(session["starts_at"])]
    later = datetime.fromisoformat(session["starts_at"]) + timedelta(hours=1)
    await cast.move(session, later, cast.provider)
    await cast.eventually(starts, lambda seen: seen == [later])
    # A new address makes the old one lead nowhere, and so does revoking it.
    newer = (await cast.member.post(path))["url"]
    assert (await fetched(cast, url)).status_code == 404
    assert (await fetched(cast, newer)).status_code == 200
    await cast.member.delete(path)
    assert (await fetched(cast, newer)).status_code == 404


@pytest.mark.rule("RESC-4")
async def test_one_session_as_a_file_has_the_uid_of_its_invitation(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    inbox = cast.inbox()
    mail = await inbox.wait_for("Your session is confirmed! Mark your calendar.")
    (invitation,) = await inbox.calendars(mail)
    await inbox.close()
    headers = {"Authorization": f"Bearer {cast.member.token}"}
    file = await cast.platform.gateway.http.get(f"/v1/sessions/{session['id']}/calendar.ics", headers=headers)
    assert file.headers["content-type"].startswith("text/calendar")
    assert set(events(file.content)) == set(events(invitation))


async def test_a_session_is_a_fhir_appointment(cast: Cast) -> None:
    session = await cast.book(timedelta(days=4))
    statuses = []
    for change in (None, "confirm", "cancel"):
        if change is not None:
            await cast.provider.post(f"/v1/sessions/{session['id']}/{change}", wait=15)
        found = (await cast.member.get(f"/v1/sessions/{session['id']}/fhir")).body
        assert found["resourceType"] == "Appointment"
        assert datetime.fromisoformat(found["start"]) == datetime.fromisoformat(session["starts_at"])
        statuses.append(found["status"])
    assert statuses == ["pending", "booked", "cancelled"]
