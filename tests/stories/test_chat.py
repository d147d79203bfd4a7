"""The room's chat, the ready message, and what each person hears and in which language (ROOM-4, AVAIL-5, NOTE-1)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import WHO, Cast, Platform


@pytest.mark.rule("ROOM-4")
async def test_the_two_parties_write_and_the_system_does(cast: Cast) -> None:
    await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": f"Hello, {WHO} here."})
    await cast.provider.post(f"/v1/rooms/{cast.room_id}/messages", {"text": "Welcome!"})
    session = await cast.confirmed(timedelta(days=4))
    await cast.move(session, datetime.fromisoformat(session["starts_at"]) + timedelta(hours=1), cast.provider)
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    wanted = {"confirmed", "moved", "cancelled", "credit"}

    async def said() -> set[str]:
        system = [message["text"].lower() for message in await cast.chat() if message["kind"] == "system"]
        return {word for word in wanted if any(word in text for text in system)}

    await cast.eventually(said, lambda seen: seen == wanted)
    written = [message["text"] for message in await cast.chat() if message["kind"] == "text"]
    assert sorted(written) == sorted([f"Hello, {WHO} here.", "Welcome!"])


@pytest.mark.rule("AVAIL-5")
async def test_i_cannot_find_a_time_that_works_for_me(platform: Platform) -> None:
    cast = await platform.cast(plan="eap-6", length=45)

    async def ask() -> int:
        return (await cast.member.send("POST", f"/v1/rooms/{cast.room_id}/time-request", {})).status_code

    await cast.eventually(ask, lambda status: status == 201)
    (message,) = [message for message in await cast.chat() if message["template"] == "time-request"]
    assert "45" in message["text"]
    assert (message["kind"], message["sender_id"]) == ("text", cast.member.subject)


@pytest.mark.rule("AVAIL-5")
async def test_the_ready_message_knows_what_the_plan_has_not(platform: Platform) -> None:
    cast = await platform.cast(plan="messaging-only")
    path = f"/v1/rooms/{cast.room_id}/time-request"

    async def refused() -> str:
        answer = await cast.member.send("POST", path, {})
        return str(answer.json().get("type"))

    await cast.eventually(refused, lambda slug: slug == "/problems/plan-excludes-live-sessions")


@pytest.mark.rule("NOTE-1")
async def test_everybody_hears_in_their_own_language_by_the_channels_they_chose(cast: Cast) -> None:
    contact = f"/v1/people/{cast.member.subject}/contact"
    known = (await cast.member.get(contact)).body
    body = {"name": known["name"], "email": known["email"], "time_zone": known["time_zone"], "locale": "de"}
    await cast.member.put(contact, body)
    first = await cast.confirmed(timedelta(days=4))
    await cast.provider.post(f"/v1/sessions/{first['id']}/cancel", wait=15)
    subjects = await cast.eventually(_subjects(cast), lambda seen: len(seen) >= 2)
    assert "Your session is confirmed! Mark your calendar." not in subjects
    await cast.member.put(contact, body | {"channels": {"email": False, "whatsapp": False, "chat": True}})
    second = await cast.confirmed(timedelta(days=5))

    async def skipped() -> list[str]:
        listed = await cast.member.get("/v1/deliveries", session_id=second["id"])
        return [each["status"] for each in listed["items"] if each["channel"] == "email"]

    assert set(await cast.eventually(skipped, lambda seen: bool(seen) and "queued" not in seen)) == {"skipped"}
    assert len(await _subjects(cast)()) == len(subjects)


def _subjects(cast: Cast):  # type: ignore[no-untyped-def]
    async def look() -> list[str]:
        inbox = cast.inbox()
        try:
            return [mail["Subject"] for mail in await inbox.all()]
        finally:
            await inbox.close()

    return look


@pytest.mark.rule("ROOM-4")
async def test_support_never_reads_a_chat(cast: Cast) -> None:
    with pytest.raises(Refused) as refusal:
        await cast.support.get(f"/v1/rooms/{cast.room_id}/messages")
    assert refusal.value.status == 403
