"""SEC-2: what an operator revoked is refused by each process, also by one that starts later, and what is open with it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from makegood_chassis.auth import Authenticator
from makegood_chassis.http.revoked import follow_revocations
from makegood_chassis.metrics import HTTP_ACTIVE
from makegood_chassis.pruning import prune
from makegood_chassis.revocation import KEPT, PRUNE, Revocations, keep, on_tokens_revoked
from makegood_chassis.service import Service
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import TokensRevoked
from makegood_contracts.ids import new_id
from makegood_testkit.identity import Identity
from makegood_testkit.waiting import eventually

from . import notes
from .conftest import Make, serving

pytestmark = pytest.mark.rule("SEC-2")

NOW = 1_800_000_000.0


@pytest_asyncio.fixture
async def followed(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a process that follows revocations as the runtime has it, only faster."""
    app = notes.app(service)
    authenticator: Authenticator = app.state.authenticator
    async with serving(app) as client:
        following = asyncio.create_task(follow_revocations(service, authenticator, every=0.05))
        yield client
        following.cancel()


async def revoke(service: Service, person_id: str, jti: str | None = None, at: datetime | None = None) -> None:
    """What the consumer does with the event that notifications published."""
    event = TokensRevoked(person_id=person_id, jti=jti, revoked_at=at or datetime.now(UTC))
    received = Received(event, new_id(), event.key, 1, datetime.now(UTC), "story", "test")
    async with service.database.transaction(Cause("story", "test")) as unit:
        await on_tokens_revoked([received], unit)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def refused(client: httpx.AsyncClient, token: str) -> None:
    """Comes back once the token is refused."""

    async def look() -> httpx.Response | None:
        answer = await client.get("/v1/notes", headers=bearer(token))
        return answer if answer.status_code == 401 else None

    answer = await eventually(look)
    assert answer.json()["detail"].endswith("; sign in again.")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_person_s_tokens_are_refused_and_a_new_one_is_good(
    followed: httpx.AsyncClient, service: Service, identity: Identity
) -> None:
    now = int(time.time())
    issued, silent = identity.token(iat=now - 5), identity.token(jti="silent")
    others = identity.token("bert", iat=now - 5)
    for token in (issued, silent, others):
        assert (await followed.get("/v1/notes", headers=bearer(token))).status_code == 200
    await revoke(service, "anna", at=datetime.fromtimestamp(now - 1, UTC))
    await refused(followed, issued)
    await refused(followed, silent)
    await refused(followed, identity.token(iat=now - 2, jti="never-seen-before"))
    assert (await followed.get("/v1/notes", headers=bearer(others))).status_code == 200
    assert (await followed.get("/v1/notes", headers=bearer(identity.token(iat=now)))).status_code == 200


async def test_one_token_is_refused_and_the_person_s_others_are_good(
    followed: httpx.AsyncClient, service: Service, identity: Identity
) -> None:
    now = int(time.time())
    lost, kept = identity.token(jti="lost", iat=now), identity.token(jti="kept", iat=now)
    stranger = identity.token("bert", jti="lost", iat=now)
    assert (await followed.get("/v1/notes", headers=bearer(lost))).status_code == 200
    await revoke(service, "anna", "lost")
    await refused(followed, lost)
    for token in (kept, stranger):
        assert (await followed.get("/v1/notes", headers=bearer(token))).status_code == 200


async def test_a_stream_and_a_wait_end_with_the_token(
    service: Service, identity: Identity, followed: httpx.AsyncClient
) -> None:
    service.dependencies = gate = notes.Gate()
    mine, others = bearer(identity.token()), bearer(identity.token("bert"))
    async with followed.stream("GET", "/v1/ticks", headers=others) as stays:
        going_on = stays.aiter_bytes()
        async with followed.stream("GET", "/v1/ticks", headers=mine) as stream:
            waiting = asyncio.create_task(
                followed.post(
                    "/v1/slow-notes", json={"text": "x"}, headers={**mine, "Idempotency-Key": "k", "Prefer": "wait=20"}
                )
            )
            await gate.reached.wait()
            await revoke(service, "anna")
            async with asyncio.timeout(10):
                async for _ in stream.aiter_bytes():
                    pass
        answer = await waiting
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert await anext(going_on)
    await eventually(lambda: not service.open_requests)


async def test_a_stream_that_nobody_reads_ends_too(
    service: Service, identity: Identity, followed: httpx.AsyncClient
) -> None:
    def active() -> float:
        return float(next(iter(HTTP_ACTIVE.collect())).samples[0].value)

    before = active()
    address = followed.base_url
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=1024)
    request = f"GET /v1/ticks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {identity.token()}\r\n\r\n"
    writer.write(request.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert active() == before + 1
    await revoke(service, "anna")
    await eventually(lambda: active() == before)
    writer.close()


async def test_a_process_that_starts_later_refuses_from_its_first_request(service: Service, identity: Identity) -> None:
    token = identity.token()
    await revoke(service, "anna")
    async with serving(notes.app(service)) as client:
        answer = await client.get("/v1/notes", headers=bearer(token))
    assert answer.status_code == 401


async def test_nobody_is_let_in_before_it_is_known_who_is_not(make_service: Make, identity: Identity) -> None:
    async with serving(notes.app(make_service())) as client:
        answer = await client.get("/v1/notes", headers=bearer(identity.token()))
    assert answer.status_code >= 500


async def test_only_what_can_still_refuse_is_kept(service: Service) -> None:
    await revoke(service, "old", at=datetime.now(UTC) - KEPT)
    await revoke(service, "anna")
    await revoke(service, "anna", at=datetime.now(UTC) - timedelta(hours=1))
    async with service.database.reading() as queries:
        rows = await queries.fetch("SELECT person_id, revoked_at > now() - interval '1 minute' FROM revoked_tokens")
        assert [tuple(row) for row in rows] == [("anna", True)]
        await queries.execute("UPDATE revoked_tokens SET kept_at = kept_at - interval '25 hours'")
        await keep(queries, [("bert", "", datetime.now(UTC))])
    await prune(service.database, PRUNE, KEPT)
    async with service.database.reading() as queries:
        assert await queries.fetch_value("SELECT string_agg(person_id, ',') FROM revoked_tokens") == "bert"


async def test_memory_is_bounded_and_forgets_nothing_that_counts(service: Service) -> None:
    now = time.time()
    revocations = Revocations(3600, limit=3, now=lambda: now)
    async with service.database.reading() as queries:
        await keep(queries, [(f"p{n}", "", datetime.fromtimestamp(NOW + n, UTC)) for n in range(3)])
    now = NOW + 10
    await revocations.load(service.database)
    assert revocations.refuses("p1", "x", NOW)
    assert not revocations.refuses("p1", "x", NOW + 1)
    assert not revocations.refuses("p9", "x", NOW - 1)
    revocations.add("p3", "x", NOW + 3)
    # One too many: the oldest now holds for everybody.
    assert revocations.refuses("p9", "x", NOW - 1)
    assert not revocations.refuses("p9", "x", NOW)
    assert revocations.refuses("p9", "x", None)
    assert revocations.refuses("p2", "x", NOW + 1)
    now = NOW + 3600 + 100
    await revocations.load(service.database)
    assert not revocations.refuses("p1", "x", None)
    assert not revocations.refuses("p9", "x", NOW - 1)
