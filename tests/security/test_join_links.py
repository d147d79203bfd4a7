"""JOIN-1, through the gateway: a join link is short-lived, dies with its session, and is in no log, topic, mail or database."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from makegood_stack.ports import SERVICES
from makegood_testkit.databases import tables_with
from makegood_testkit.platform import Cast, Platform, address

pytestmark = pytest.mark.rule("JOIN-1")


async def verify(platform: Platform, token: str) -> httpx.Response:
    """As the video room does: without an access token."""
    async with httpx.AsyncClient(base_url=platform.stack.base_url, trust_env=False) as room:
        return await room.post("/v1/join-links/verify", json={"token": token})


async def opened(cast: Cast) -> dict[str, Any]:
    """A confirmed session that can be joined now."""
    session = await cast.confirmed()
    await cast.platform.advance_to(datetime.fromisoformat(str(session["starts_at"])) - timedelta(minutes=9))
    return session


async def test_the_link_opens_its_session_and_dies_with_it(cast: Cast) -> None:
    session = await opened(cast)
    path = f"/v1/sessions/{session['id']}"
    joined = await cast.member.post(f"{path}/join")
    address, _, token = str(joined["join_url"]).partition("#")
    assert address == f"{cast.platform.stack.mail_url}/join/{session['id']}"
    assert "?" not in address
    answer = await verify(cast.platform, token)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["person_id"], answer.json()["party"]) == (cast.member.subject, "member")
    # The development client app's page asks for itself.
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(address)
        assert page.status_code == 200
        assert '<script src="/join.js">' in page.text
        assert token not in page.text
        mail_url = cast.platform.stack.mail_url
        asked = await browser.post(f"{mail_url}/join/verify", json={"token": token})
        assert (asked.status_code, asked.json()) == (200, answer.json())
        forged = await browser.post(f"{mail_url}/join/verify", json={"token": token[:-3]})
        assert (forged.status_code, forged.json()["type"]) == (400, "/problems/join-link-invalid")
    await cast.provider.post(f"{path}/cancel", wait=15)
    dead = await verify(cast.platform, token)
    assert (dead.status_code, dead.json()["type"]) == (409, "/problems/session-over")


async def test_the_link_ends_at_the_session_s_end(cast: Cast) -> None:
    session = await opened(cast)
    path = f"/v1/sessions/{session['id']}"
    joined = await cast.member.post(f"{path}/join")
    await cast.provider.post(f"{path}/join")
    await cast.platform.advance_to(datetime.fromisoformat(str(session["ends_at"])))
    dead = await verify(cast.platform, str(joined["join_url"]).partition("#")[2])
    assert (dead.status_code, dead.json()["type"]) == (400, "/problems/join-link-invalid")


async def test_the_link_stands_nowhere_and_a_repeat_gets_another(cast: Cast) -> None:
    session = await opened(cast)
    path = f"/v1/sessions/{session['id']}/join"
    key = str(uuid.uuid4())
    async with cast.ticker() as ticker:
        first, second = [await cast.member.post(path, key=key) for _ in range(2)]
        told = await ticker.until("SessionJoined")
    await cast.platform.settle()
    tokens = [str(answer["join_url"]).partition("#")[2] for answer in (first, second)]
    assert tokens[0] != tokens[1]
    assert second.headers["idempotent-replayed"] == "true"
    assert [passed.name for passed in told].count("SessionJoined") == 1
    secrets = [token.rpartition(".")[2] for token in tokens]
    for passed in told:
        assert not any(secret in repr(passed) for secret in secrets)
    assert _logs_with(cast.platform.home.logs, secrets) == []
    for service in SERVICES:
        found = await tables_with(cast.platform.stack.database_url(service), *secrets)
        assert found == [], service
    for person in (cast.member, cast.provider):
        mails = await _mails(cast, person)
        assert mails
        for mail in mails:
            assert not any(secret in mail for secret in secrets)
            assert not re.search(r"/join/[^\s\"<>]*[?#]", mail)


def _logs_with(folder: Path, secrets: list[str]) -> list[str]:
    texts = {log.name: log.read_text(errors="replace") for log in folder.glob("*.log")}
    assert texts
    return [name for name, text in texts.items() if any(secret in text for secret in secrets)]


async def _mails(cast: Cast, person: Any) -> list[str]:
    async with httpx.AsyncClient(base_url=cast.platform.stack.mail_url, trust_env=False) as http:
        query = {"query": f"to:{address(person)}"}
        found = (await http.get("/api/v1/search", params=query)).json()["messages"]
        return [(await http.get(f"/api/v1/message/{mail['ID']}/raw")).text for mail in found]
