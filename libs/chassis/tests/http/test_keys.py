"""SEC-2: no signing key outlives its withdrawal by more than five minutes, whatever the issuer answers and whoever calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from makegood_chassis import keys
from makegood_chassis.auth import Authenticator, InvalidToken, TokenKeysUnavailable
from makegood_chassis.http.revoked import follow_revocations
from makegood_chassis.keys import MAXIMUM_AGE, Keys
from makegood_testkit.identity import ISSUER, Identity
from makegood_testkit.waiting import eventually

from . import notes
from .conftest import Make, serving

pytestmark = pytest.mark.rule("SEC-2")


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    monkeypatch.setattr(keys, "MINIMUM_INTERVAL", 0.0)
    return Seconds()


@pytest.fixture
def authenticator(identity: Identity, seconds: Seconds) -> Authenticator:
    published = Keys(str(identity.path), refresh=0.01, clock=seconds)
    return Authenticator(published, issuer=ISSUER, audience="makegood", longest=3600)


async def test_the_timer_finds_a_withdrawn_key_and_its_tokens_are_forgotten(
    identity: Identity, authenticator: Authenticator
) -> None:
    """Nobody calls in between: neither the remembered token nor a new one gets in by the withdrawn key."""
    identity.add("second")
    token, other = identity.token(), identity.token("bert", kid="second")
    first = identity.private["first"]
    caller, stays = await authenticator.verify(token), await authenticator.verify(other)
    timer = asyncio.create_task(authenticator.keys.run())
    try:
        identity.withdraw("first")
        await eventually(lambda: authenticator.keys.known("first") is None)
    finally:
        timer.cancel()
    assert not authenticator.still_good(caller)
    assert authenticator.remembered(token) is None
    for each in (token, identity.token("newer", key=first)):
        with pytest.raises(InvalidToken, match="no published key"):
            await authenticator.verify(each)
    assert authenticator.still_good(stays)
    assert authenticator.remembered(other) is stays


async def test_a_key_that_was_exchanged_under_its_name_ends_its_tokens(
    identity: Identity, authenticator: Authenticator, seconds: Seconds
) -> None:
    old, stolen = identity.token(), identity.private["first"]
    caller = await authenticator.verify(old)
    identity.add("first")
    seconds.now += MAXIMUM_AGE + 1
    with pytest.raises(InvalidToken, match="signature"):
        await authenticator.verify(old)
    assert not authenticator.still_good(caller)
    with pytest.raises(InvalidToken, match="signature"):
        await authenticator.verify(identity.token("newer", key=stolen))
    assert (await authenticator.verify(identity.token("anna"))).subject == "anna"


@pytest.mark.rule("REL-9")
async def test_without_an_issuer_the_keys_serve_for_five_minutes_and_no_longer(
    identity: Identity, authenticator: Authenticator, seconds: Seconds
) -> None:
    token = identity.token()
    caller = await authenticator.verify(token)
    document = identity.path.read_bytes()
    identity.path.unlink()
    seconds.now += MAXIMUM_AGE - 1
    assert authenticator.remembered(token) is caller
    assert (await authenticator.verify(identity.token("bert"))).subject == "bert"
    seconds.now += 2
    assert authenticator.keys.known("first") is None
    assert authenticator.remembered(token) is None
    assert not authenticator.still_good(caller)
    for each in (token, identity.token("cleo")):
        with pytest.raises(TokenKeysUnavailable):
            await authenticator.verify(each)
    identity.path.write_bytes(document)
    assert (await authenticator.verify(token)).subject == "anna"


async def test_no_stale_key_is_used_while_the_keys_are_fetched(
    identity: Identity, authenticator: Authenticator, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = identity.token()
    await authenticator.verify(token)
    reached, go_on = asyncio.Event(), asyncio.Event()
    fetch = asyncio.to_thread

    async def slow(*args: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await fetch(*args)

    monkeypatch.setattr(asyncio, "to_thread", slow)
    identity.add("second")
    identity.withdraw("first")
    seconds.now += MAXIMUM_AGE + 1
    asked = asyncio.create_task(authenticator.verify(token))
    await reached.wait()
    assert authenticator.keys.known("first") is None
    assert authenticator.remembered(token) is None
    assert not asked.done()
    go_on.set()
    with pytest.raises(InvalidToken):
        await asked


async def test_the_timer_goes_on_after_failures(identity: Identity, seconds: Seconds) -> None:
    published = Keys(str(identity.path), refresh=0.01, clock=seconds)
    identity.path.write_text("no JWKS")
    with structlog.testing.capture_logs() as logs:
        timer = asyncio.create_task(published.run())
        await eventually(lambda: logs, what="a failure")
    try:
        assert not published.fresh
        identity.publish()
        await eventually(lambda: published.known("first") is not None)
        seconds.now += MAXIMUM_AGE + 1
        await eventually(lambda: published.fresh)
    finally:
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
    assert timer.cancelled()


@pytest.mark.rule("REL-9")
async def test_requests_and_streams_end_with_keys_that_nobody_confirms(
    make_service: Make, database_url: str, identity: Identity
) -> None:
    """With settings of a second instead of five minutes, through HTTP: 503 and not a stale key, until the issuer is back."""
    service = make_service(database_url, jwks_refresh=0.2, jwks_max_age=1.0)
    await service.database.open()
    app = notes.app(service)
    authenticator: Authenticator = app.state.authenticator
    document = identity.path.read_bytes()
    async with serving(app) as client:
        client.headers.update(identity.bearer())
        background = [
            asyncio.create_task(authenticator.keys.run()),
            asyncio.create_task(follow_revocations(service, authenticator, every=0.05)),
        ]
        assert (await client.get("/v1/notes")).status_code == 200
        async with client.stream("GET", "/v1/ticks") as stream:
            identity.path.unlink()
            async with asyncio.timeout(10):
                async for _ in stream.aiter_bytes():
                    pass
        answer = await client.get("/v1/notes")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert answer.headers["retry-after"] == "2"
        identity.path.write_bytes(document)

        async def served() -> bool:
            return (await client.get("/v1/notes")).status_code == 200

        await eventually(served)
        for task in background:
            task.cancel()
    await service.database.close()
