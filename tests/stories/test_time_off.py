"""Time off: what lies in it is said before it is accepted (AVAIL-1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import WHAT, Cast


async def away(cast: Cast, session: dict[str, Any], **choice: str) -> Any:
    """Takes off the hours around a session."""
    start = datetime.fromisoformat(session["starts_at"])
    body = {
        "starts_at": (start - timedelta(hours=2)).isoformat(),
        "ends_at": (start + timedelta(hours=2)).isoformat(),
        "note": WHAT,
        **choice,
    }
    return await cast.provider.post(f"/v1/providers/{cast.provider.subject}/time-off", body)


@pytest.mark.rule("AVAIL-1")
async def test_sessions_inside_are_named_before_anything_happens(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    with pytest.raises(Refused) as refusal:
        await away(cast, session)
    assert (refusal.value.status, refusal.value.slug) == (409, "sessions-in-time-off")
    assert [inside["session_id"] for inside in refusal.value.problem["sessions"]] == [session["id"]]
    assert (await cast.provider.get(f"/v1/providers/{cast.provider.subject}/time-off"))["items"] == []
    assert (await cast.session(session))["status"] == "confirmed"


@pytest.mark.rule("AVAIL-1", "AVAIL-2")
async def test_kept_they_take_place_and_nothing_new_is_offered(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    off = await away(cast, session, sessions="keep")
    assert (await cast.session(session))["status"] == "confirmed"
    body = cast.booking_body(datetime.fromisoformat(session["starts_at"]) + timedelta(hours=1))
    with pytest.raises(Refused) as refusal:
        await cast.member.post("/v1/sessions", body, wait=15)
    assert refusal.value.slug == "slot-not-offered"
    await cast.provider.delete(f"/v1/providers/{cast.provider.subject}/time-off/{off['id']}")
    assert (await cast.member.post("/v1/sessions", body, wait=15))["status"] == "reserved"
