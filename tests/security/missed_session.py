"""A session that its provider misses, where nothing but the services' clock can be moved, as in production."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from makegood_devtools.client import Person
from makegood_testkit.platform import ROUND_THE_CLOCK
from makegood_testkit.waiting import eventually

Persons = Callable[[str, str, str], Person]
"""Makes somebody from a role, an id, and the service that they speak to."""


async def missed_session(person: Persons, move_clock: Callable[[timedelta], Awaitable[None]]) -> dict[str, Any]:
    """Member anna books a session with provider lee in four days. Lee confirms, and nobody comes. Returns the session when
    its credit is returned."""
    schedule = {
        "time_zone": "UTC",
        "weekly": ROUND_THE_CLOCK,
        "minimum_notice_minutes": 0,
        "horizon_days": 365,
        "session_types": [{"length_minutes": 30, "modalities": ["video"]}],
    }
    await person("provider", "lee", "availability").put("/v1/providers/lee/schedule", schedule)
    for role, subject in (("member", "anna"), ("provider", "lee")):
        contact = {"name": subject.title(), "email": f"{subject}@example.org", "time_zone": "UTC"}
        await person(role, subject, "notifications").put(f"/v1/people/{subject}/contact", contact)
    today = datetime.now(UTC).date().isoformat()
    enrolment = {"plan_id": "out-of-pocket-4", "starts_on": today}
    await person("support", "sam", "credits").put("/v1/members/anna/enrolment", enrolment)
    pair = {"member_id": "anna", "provider_id": "lee"}
    room = await person("support", "sam", "booking").post("/v1/rooms", pair)
    start = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=4)
    asked = {
        "room_id": room["id"],
        "starts_at": start.isoformat(),
        "length_minutes": 30,
        "modality": "video",
        "time_zone": "UTC",
    }
    member = person("member", "anna", "booking")
    booked = await member.post("/v1/sessions", asked, wait=15)
    assert booked["status"] == "reserved"
    path = f"/v1/sessions/{booked['id']}"
    await person("provider", "lee", "booking").post(f"{path}/confirm")
    await move_clock(start + timedelta(minutes=11) - datetime.now(UTC))

    async def ended() -> dict[str, Any] | None:
        session = dict((await member.get(path)).body)
        return session if (session["status"], session["credit"]["state"]) == ("provider_missed", "returned") else None

    found: dict[str, Any] = await eventually(ended, seconds=60, what="the end of the missed session")
    return found
