"""JOIN-1: a join link opens its session for its party, from ten minutes before the start until the end, and stands nowhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from makegood_booking.join_links import ISSUER
from makegood_chassis.revocation import keep
from makegood_contracts.ids import new_id
from makegood_testkit.databases import tables_with
from makegood_testkit.service import slug

from .examples import MINUTE, START
from .harness import BookingHarness

pytestmark = pytest.mark.rule("JOIN-1")

END = START + 30 * MINUTE
VERIFY = "/v1/join-links/verify"


async def join(harness: BookingHarness, person: httpx.AsyncClient, session: dict[str, Any], **headers: str) -> str:
    """The token of the link that a join answers."""
    answer = await person.post(f"/v1/sessions/{session['id']}/join", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["join_url"]).partition("#")[2]


async def verify(harness: BookingHarness, token: str) -> httpx.Response:
    """As the video room does: without anybody's access token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url="http://test") as room:
        return await room.post(VERIFY, json={"token": token})


async def opened(harness: BookingHarness) -> dict[str, Any]:
    """A confirmed session that can be joined now."""
    session = await harness.confirmed()
    harness.clock.moment = START - 10 * MINUTE
    return session


async def test_the_link_tells_the_room_who_comes_in_and_how_long(harness: BookingHarness) -> None:
    session = await opened(harness)
    for person, subject, party in ((harness.member, "anna", "member"), (harness.provider, "dr-lee", "provider")):
        token = await join(harness, person, session)
        answer = await verify(harness, token)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {
            "session_id": session["id"],
            "person_id": subject,
            "party": party,
            "modality": session["modality"],
            "ends_at": session["ends_at"],
        }
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["nbf"], claims["exp"]) == ((START - 10 * MINUTE).timestamp(), END.timestamp())
        assert abs(claims["iat"] - time.time()) < 60


async def test_the_link_ends_with_the_session_s_time(harness: BookingHarness) -> None:
    session = await opened(harness)
    token = await join(harness, harness.member, session)
    await join(harness, harness.provider, session)
    harness.clock.moment = END - timedelta(seconds=1)
    assert (await verify(harness, token)).status_code == 200
    harness.clock.moment = END
    answer = await verify(harness, token)
    assert (answer.status_code, slug(answer)) == (400, "join-link-invalid")


async def test_the_link_dies_when_the_session_is_cancelled_missed_or_moved(harness: BookingHarness) -> None:
    session = await opened(harness)
    token = await join(harness, harness.member, session)
    # Nobody triggers the miss, and no deadline has been worked off yet: the room is told all the same.
    harness.clock.moment = START + 11 * MINUTE
    answer = await verify(harness, token)
    assert (answer.status_code, slug(answer)) == (409, "session-over")
    harness.clock.moment = START - 5 * MINUTE
    assert (await verify(harness, token)).status_code == 200
    cancelled = await harness.provider.post(f"/v1/sessions/{session['id']}/cancel")
    assert cancelled.status_code == 202
    answer = await verify(harness, token)
    assert (answer.status_code, slug(answer)) == (409, "session-over")


async def test_a_link_that_was_not_made_here_opens_nothing(harness: BookingHarness) -> None:
    session = await opened(harness)
    token = await join(harness, harness.member, session)
    claims = jwt.decode(token, options={"verify_signature": False})
    head, _, signature = token.split(".")
    stranger = jwt.encode({**claims, "party": "provider", "sub": "dr-lee"}, "x" * 32, "HS256")
    forged = {
        "another key": stranger,
        "another's claims": f"{head}.{stranger.split('.')[1]}.{signature}",
        "unsigned": jwt.encode(claims, "", "none"),
        "no token": "nonsense",
        "an access token": harness.member.headers["Authorization"].removeprefix("Bearer "),
        "cut": token[:-4],
    }
    for kind, each in forged.items():
        answer = await verify(harness, each)
        assert (answer.status_code, slug(answer)) == (400, "join-link-invalid"), kind
    key = harness.dependencies.join_links._key
    wrong: list[tuple[str, Any]] = [
        ("aud", "makegood"), ("iss", f"{ISSUER}s"), ("party", "support"), ("session_id", new_id()), ("jti", None),
        ("exp", claims["exp"] - 3600), ("exp", None), ("nbf", claims["exp"] - 1), ("iat", None), ("sub", None),
    ]  # fmt: skip
    for name, value in wrong:
        changed = {claim: each for claim, each in {**claims, name: value}.items() if each is not None}
        answer = await verify(harness, jwt.encode(changed, key, "HS256"))
        assert (answer.status_code, slug(answer)) == (400, "join-link-invalid"), name
    assert (await verify(harness, jwt.encode(claims, key, "HS256"))).status_code == 200
    async with httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url="http://test") as room:
        assert (await room.post(VERIFY, json={"token": "t" * 1025})).status_code == 422
        assert (await room.post(VERIFY, json={})).status_code == 422
        assert (await room.post(VERIFY, content=b" " * (64 << 10) + b"{}")).status_code == 413


async def test_a_link_is_no_access_token(harness: BookingHarness) -> None:
    token = await join(harness, harness.member, await opened(harness))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url="http://test") as client:
        answer = await client.get("/v1/sessions", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_the_link_stands_nowhere_and_a_repeat_gets_a_new_one(harness: BookingHarness) -> None:
    session = await opened(harness)
    path = f"/v1/sessions/{session['id']}/join"
    keyed = {"Idempotency-Key": "knock", "If-Match": f'"{session["version"]}"'}
    first = await harness.member.post(path, headers=keyed)
    assert first.status_code == 200, first.text
    again = await harness.member.post(path, headers=keyed)
    assert again.status_code == 200, again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert (first.headers["etag"], again.json()["session"]) == (again.headers["etag"], first.json()["session"])
    tokens = [str(answer.json()["join_url"]).partition("#")[2] for answer in (first, again)]
    assert tokens[0] != tokens[1]
    for token in tokens:
        assert (await verify(harness, token)).status_code == 200

    signatures = [token.rpartition(".")[2] for token in tokens]
    assert await tables_with(harness.service.database.url, *signatures) == []
    async with harness.service.database.reading() as queries:
        kept = await queries.fetch_one("SELECT status, body, headers FROM idempotency_keys WHERE key = 'knock'")
    assert kept is not None
    assert (kept["status"], kept["body"], kept["headers"]) == (200, b"", {})


async def test_a_repeat_joins_no_second_time(harness: BookingHarness) -> None:
    session = await opened(harness)
    path = f"/v1/sessions/{session['id']}"
    await join(harness, harness.member, session, **{"Idempotency-Key": "knock"})
    assert (await harness.member.post(f"{path}/leave")).status_code == 200
    await join(harness, harness.member, session, **{"Idempotency-Key": "knock"})
    history = (await harness.member.get(f"{path}/history")).json()["items"]
    assert [item["type"] for item in history][-2:] == ["SessionJoined", "SessionLeft"]
    changed = await harness.provider.post(f"{path}/join", headers={"Idempotency-Key": "other"})
    assert changed.status_code == 200
    harness.clock.moment = END
    late = await harness.member.post(f"{path}/join", headers={"Idempotency-Key": "knock"})
    assert (late.status_code, slug(late)) == (409, "session-over")


@pytest.mark.rule("SEC-2")
async def test_a_revoked_person_s_link_opens_nothing(harness: BookingHarness) -> None:
    session = await opened(harness)
    token, others = await join(harness, harness.member, session), await join(harness, harness.provider, session)
    revocations, database = harness.service.revocations, harness.service.database
    async with database.reading() as queries:
        await keep(queries, [("anna", "", datetime.now(UTC))])
    await revocations.load(database)
    answer = await verify(harness, token)
    assert (answer.status_code, slug(answer)) == (400, "join-link-invalid")
    assert (await verify(harness, others)).status_code == 200
