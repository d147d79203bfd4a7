"""What one person can do to another's mailbox, and what a message can be made to carry."""

from __future__ import annotations

import asyncio

import pytest
from makegood_testkit.platform import Cast

REMINDER = "Your session is coming up."
CONFIRMED = "Your session is confirmed! Mark your calendar."


@pytest.mark.rule("REM-1")
async def test_forty_reminders_in_a_burst_are_one_mail(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.inbox().wait_for(CONFIRMED)
    path = f"/v1/sessions/{session['id']}/reminders"
    answers = await asyncio.gather(*(cast.provider.send("POST", path, {"channel": "email"}) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 39
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "/problems/too-soon"
    assert 3000 < int(refused.headers["Retry-After"]) <= 3600
    await cast.inbox().wait_for(REMINDER)
    await cast.platform.settle()
    assert len([mail for mail in await cast.inbox().all() if mail["Subject"] == REMINDER]) == 1


@pytest.mark.parametrize(
    "name", ["https://evil.example/pay", "Ada www.evil.example", "x\u202egpj.exe", "\u200d\u200b\u3164"]
)
async def test_names_that_lead_somewhere_steer_or_show_nothing_are_refused(cast: Cast, name: str) -> None:
    path = f"/v1/people/{cast.member.subject}/contact"
    body = {**(await cast.member.get(path)).body, "name": name}
    assert (await cast.member.send("PUT", path, body)).status_code == 422
    ops = cast.platform.person("ops", "ops-names")
    assert (await ops.send("POST", "/v1/venues", {"name": name, "time_zone": "UTC"})).status_code == 422


async def test_names_with_joiners_are_kept(cast: Cast) -> None:
    path = f"/v1/people/{cast.member.subject}/contact"
    for name in ("علی‌رضا", "👩‍👩‍👧‍👦 Ada", "क्‍ष"):
        await cast.member.put(path, {**(await cast.member.get(path)).body, "name": name})
        assert (await cast.member.get(path))["name"] == name


async def test_a_changed_address_is_used_once_its_owner_has_followed_the_link(cast: Cast) -> None:
    path = f"/v1/people/{cast.member.subject}/contact"
    before = (await cast.member.get(path)).body
    new = f"new-{before['email']}"
    answer = await cast.member.put(path, {**before, "email": new})
    assert (answer["email"], answer["pending_email"]) == (before["email"], new)
    await cast.inbox().wait_for("Your e-mail address is about to change.")
    link = await cast.platform.mailbox(new).wait_for("Please confirm your new e-mail address.")
    await cast.confirmed()
    await cast.inbox().wait_for(CONFIRMED)
    token = str(link["Text"]).partition("/contact/confirm#")[2].split()[0]
    assert (await cast.provider.send("POST", f"{path}/confirmations", {"token": token})).status_code == 404
    confirmed = await cast.member.post(f"{path}/confirmations", {"token": token})
    assert (confirmed["email"], confirmed["pending_email"]) == (new, None)
    assert (await cast.member.send("POST", f"{path}/confirmations", {"token": token})).status_code == 409
