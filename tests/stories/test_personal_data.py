"""A person's data: to read, to erase, and who has looked at it (SEC-3, SEC-5)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import PHONE, WHAT, WHO, Cast


@pytest.mark.rule("SEC-3")
async def test_everything_is_read_by_the_person_and_then_erased(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": f"I am {WHO}."})
    await cast.member.post(f"/v1/sessions/{session['id']}/cancel", {"remark": f"Ill. {WHAT}"}, wait=15)
    history = f"/v1/sessions/{session['id']}/history"
    assert WHAT in json.dumps((await cast.provider.get(history, limit=200)).body)
    person = f"/v1/people/{cast.member.subject}"
    held = json.dumps((await cast.member.get(f"{person}/export")).body)
    for said in (f"Robin {WHO}", PHONE, f"I am {WHO}.", session["id"]):
        assert said in held
    async with cast.ticker() as ticker:
        asked = await cast.member.delete(person, params={"reason": "person_asked"})
        assert asked["state"] == "pending"
        assert (await cast.member.get(f"{person}/contact"))["name"] == f"Robin {WHO}"
        await cast.platform.advance(timedelta(days=7))
        await ticker.until("PersonErased")
    assert (await cast.member.send("GET", f"{person}/contact")).status_code == 404
    left = json.dumps((await cast.member.get(f"{person}/export")).body)
    assert WHO not in left
    assert PHONE not in left

    # Others keep ids alone: the provider reads no word of theirs in the chat, nor the remark in the history.
    async def remains() -> list[str]:
        chat = json.dumps((await cast.provider.get(f"/v1/rooms/{cast.room_id}/messages", limit=200)).body)
        told = json.dumps((await cast.provider.get(history, limit=200)).body)
        return [word for word, text in ((WHO, chat), (WHAT, told)) if word in text]

    await cast.eventually(remains, lambda seen: seen == [])
    assert (await cast.provider.get(f"/v1/sessions/{session['id']}"))["member_id"] == cast.member.subject


@pytest.mark.rule("SEC-5")
async def test_who_looked_at_whose_data_is_kept(cast: Cast) -> None:
    member = f"/v1/members/{cast.member.subject}"
    reason = "complaint; ticket 4711"
    for path in (f"{member}/credits", f"{member}/ledger", f"{member}/invoices"):
        headers = {"Authorization": f"Bearer {cast.support.token}", "X-Access-Reason": reason}
        assert (await cast.platform.gateway.http.get(path, headers=headers)).status_code == 200
    await cast.support.post(f"{member}/adjustments", {"amount": 1, "reason": WHAT})
    await cast.member.get(f"/v1/people/{cast.member.subject}/contact")
    await cast.member.get(f"/v1/people/{cast.member.subject}/export")
    await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": f"I am {WHO}."})
    await cast.provider.get(f"/v1/rooms/{cast.room_id}/messages")
    auditor = cast.platform.person("support", f"auditor-{cast.member.subject}")

    async def rows(service: str) -> list[dict[str, str]]:
        answer = await auditor.get(f"/v1/{service}/access", person_id=cast.member.subject, limit=200)
        return list(answer["items"])

    credits = [row for row in await rows("credits") if row["caller"] == cast.support.subject]
    told = sorted((row["operation"], f"{row['reason']}; {row['remark']}") for row in credits)
    wanted = {"credits.read", "ledger.read", "invoices.read"}
    assert wanted <= {operation for operation, why in told if why == reason}
    assert sum(operation == "credits.read" and why == reason for operation, why in told) == 1
    assert "adjustment.make" in {operation for operation, _ in told}
    assert {row["role"] for row in credits} == {"support"}
    personal = await rows("notifications")
    assert {"contact.read", "person.export"} <= {row["operation"] for row in personal}
    assert {row["caller"] for row in personal} >= {cast.member.subject}


@pytest.mark.rule("SEC-5")
async def test_the_words_of_a_reason_go_with_the_person_and_the_rows_stay(cast: Cast) -> None:
    member = cast.member.subject
    support = replace(cast.support, reason=f"complaint; {WHAT}")
    looks = {
        "booking": f"/v1/rooms/{cast.room_id}",
        "availability": f"/v1/rooms/{cast.room_id}/waitlist",
        "credits": f"/v1/members/{member}/credits",
        "notifications": f"/v1/deliveries?person_id={member}",
    }
    await cast.eventually(lambda: support.send("GET", looks["availability"]), lambda answer: answer.status_code == 200)

    async def remarks() -> dict[str, set[str | None]]:
        found = {}
        for service in looks:
            rows = (await cast.support.get(f"/v1/{service}/access", person_id=member, limit=200))["items"]
            found[service] = {row["remark"] for row in rows if row["reason"] == "complaint"}
        return found

    for path in looks.values():
        assert (await support.send("GET", path)).is_success
    assert await remarks() == {service: {WHAT} for service in looks}
    await cast.support.delete(f"/v1/people/{member}", params={"reason": "law_requires_it", "now": "true"})
    await cast.eventually(remarks, lambda found: found == {service: {None} for service in looks})


@pytest.mark.rule("NOTE-5")
async def test_a_provider_who_is_erased_is_offered_and_booked_no_more_and_the_member_is_told(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    start = datetime.fromisoformat(session["starts_at"])
    waiting = await cast.platform.cast(provider=cast.provider)
    body = {"from": start.isoformat(), "to": (start + timedelta(minutes=1)).isoformat(), "length_minutes": cast.length}
    line = f"/v1/rooms/{waiting.room_id}/waitlist"
    path = f"/v1/providers/{cast.provider.subject}/slots"
    span = {"from": start.isoformat(), "to": (start + timedelta(days=1)).isoformat(), "modality": cast.modality}

    async def joined() -> int:
        return (await waiting.member.send("POST", line, {**body, "modality": cast.modality})).status_code

    await cast.eventually(joined, lambda status: status in (200, 201))
    assert (await cast.member.get(path, **span, length_minutes=cast.length))["items"] != []
    await cast.support.delete(
        f"/v1/people/{cast.provider.subject}", params={"reason": "law_requires_it", "now": "true"}
    )
    ended = await cast.settled(session, "cancelled", "returned")
    assert ended["absent_party"] is None
    assert (await cast.credits())["available"] == 4

    async def slots() -> list[object]:
        return list((await cast.member.get(path, **span, length_minutes=cast.length))["items"])

    await cast.eventually(slots, lambda found: found == [])
    for one in (cast, waiting):
        room = await one.member.get(f"/v1/rooms/{one.room_id}")
        assert room["status"] == "closed"
        with pytest.raises(Refused) as refusal:
            await one.member.post("/v1/sessions", one.booking_body(start), wait=15)
        assert refusal.value.slug == "room-closed"

    async def told() -> set[str]:
        deliveries = (await cast.member.get("/v1/deliveries", person_id=cast.member.subject))["items"]
        return {one["template"] for one in deliveries if one["channel"] == "email"}

    await cast.eventually(told, lambda seen: seen >= {"provider-gone", "session-cancelled-provider-gone"})

    async def entries() -> list[object]:
        return list((await waiting.member.get(line))["items"])

    await cast.eventually(entries, lambda found: found == [])


@pytest.mark.rule("NOTE-5")
async def test_what_an_erased_member_had_ahead_ends_and_the_provider_is_told(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    await cast.support.delete(f"/v1/people/{cast.member.subject}", params={"reason": "law_requires_it", "now": "true"})

    async def ended() -> str:
        return str((await cast.provider.get(f"/v1/sessions/{session['id']}"))["status"])

    await cast.eventually(ended, lambda status: status == "cancelled")

    async def told() -> set[str]:
        deliveries = (await cast.provider.get("/v1/deliveries", person_id=cast.provider.subject))["items"]
        return {one["template"] for one in deliveries}

    await cast.eventually(told, lambda seen: seen >= {"to-provider-member-gone", "to-provider-cancelled"})
