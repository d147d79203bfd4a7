"""A person's data: to read, to erase, and who has looked at it (SEC-3, SEC-5)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
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
