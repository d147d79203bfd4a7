"""SEC-2: a withdrawn signing key is dead at every door, tokens live an hour at most, and ops end a person's sessions.

That no key outlives its withdrawal by more than five minutes, whatever the issuer answers, is tested on a clock of its own in
libs/chassis/tests/http/test_keys.py; here the services look every two seconds (tests/conftest.py).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from makegood_contracts.events import TokensRevoked
from makegood_devtools import keys
from makegood_stack.ports import LISTEN
from makegood_testkit.platform import WHAT, Cast, Platform
from makegood_testkit.waiting import eventually

from .test_tokens import OWN, Forger

pytestmark = pytest.mark.rule("SEC-2")

YEARS = 31 * 365 * 86400

TOO_GOOD: dict[str, Callable[[int], dict[str, Any]]] = {
    "good for 31 years": lambda now: {"exp": now + YEARS},
    "good for 31 years, issued at no time": lambda now: {"exp": now + YEARS, "iat": None},
    "good for two hours": lambda now: {"exp": now + 7200},
    "good for two hours, nearly over": lambda now: {"iat": now - 7000, "exp": now + 200},
    "issued tomorrow": lambda now: {"iat": now + 86400, "exp": now + 86400 + 600},
    "issued after its end": lambda now: {"iat": now + 3, "exp": now + 2},
    "without an id": lambda now: {"jti": None},
    "with an empty id": lambda now: {"jti": ""},
}


def doors(platform: Platform) -> Iterator[str]:
    """The address of a list of each service: through the gateway, and at the service's own door."""
    for service, path in OWN.items():
        yield platform.stack.base_url + path
        yield f"http://{LISTEN}:{platform.stack.ports.of(service)}{path}"


async def status(platform: Platform, door: str, token: str) -> int:
    return (await platform.gateway.http.get(door, headers={"Authorization": f"Bearer {token}"})).status_code


async def statuses(platform: Platform, token: str) -> dict[str, int]:
    return {door: await status(platform, door, token) for door in doors(platform)}


async def until_refused(platform: Platform, token: str, within: float) -> None:
    """Every door refuses the token, `within` seconds from now at most."""
    left = dict.fromkeys(doors(platform), 0)
    end = time.monotonic() + within
    while left:
        for door in list(left):
            left[door] = await status(platform, door, token)
            if left[door] == 401:
                del left[door]
        assert not left or time.monotonic() < end, left
        await asyncio.sleep(0.05)


@asynccontextmanager
async def stream(platform: Platform, token: str) -> AsyncIterator[asyncio.Task[None]]:
    """An open stream; the task is done when the platform ends it."""
    headers = {"Authorization": f"Bearer {token}"}
    async with platform.gateway.http.stream("GET", "/v1/stream", headers=headers) as answer:
        assert answer.status_code == 200
        opened = asyncio.Event()

        async def read() -> None:
            async for _ in answer.aiter_bytes():
                opened.set()

        reading = asyncio.create_task(read())
        await opened.wait()
        yield reading
        reading.cancel()


@pytest.mark.parametrize("kind", TOO_GOOD)
async def test_a_token_that_is_too_good_is_refused_at_every_service(platform: Platform, kind: str) -> None:
    token = Forger(platform).token(**TOO_GOOD[kind](int(time.time())))
    assert set((await statuses(platform, token)).values()) == {401}


@pytest.mark.slow
async def test_a_withdrawn_key_is_dead_at_every_door_and_its_streams_end(platform: Platform) -> None:
    """Those who used it, those who never did, and what is open: nobody need ask for the keys to be read again."""
    made = keys.make_key(platform.home.identity)
    thief = Forger(platform)
    thief.real = made
    used = thief.token(sub=f"withdrawn-{uuid.uuid4().hex[:8]}")
    try:

        async def everybody_has_read_the_new_key() -> bool:
            return set((await statuses(platform, used)).values()) == {200}

        await eventually(everybody_has_read_the_new_key, seconds=30)
        async with stream(platform, used) as reading:
            for file in platform.home.identity.glob(f"*-{made.kid}.pem"):
                file.unlink()
            await until_refused(platform, used, within=30)
            await until_refused(platform, thief.token(sub="never-seen"), within=5)
            async with asyncio.timeout(10):
                await reading
    finally:
        for file in platform.home.identity.glob(f"*-{made.kid}.pem"):
            file.unlink()
    assert set((await statuses(platform, Forger(platform).token())).values()) == {200}


async def test_a_revoked_person_is_out_everywhere_within_ten_seconds_and_signs_in_anew(cast: Cast) -> None:
    platform, person_id = cast.platform, cast.member.subject
    forger = Forger(platform)
    before = forger.token(sub=person_id, iat=int(time.time()) - 1)
    silent = forger.token(sub=person_id, iat=None)
    unused = forger.token(sub=person_id, iat=int(time.time()) - 1)
    for token in (before, silent):
        assert set((await statuses(platform, token)).values()) == {200}
    ops = platform.person("ops", f"ops-{uuid.uuid4().hex[:8]}")
    async with stream(platform, before) as reading, stream(platform, cast.provider.token) as others:
        revoked_at = time.monotonic()
        made = await ops.post(f"/v1/people/{person_id}/revocations", {"reason": "lost telephone"})
        assert made.status == 201
        for token in (before, silent, unused):
            await until_refused(platform, token, within=revoked_at + 10 - time.monotonic())
        async with asyncio.timeout(revoked_at + 10 - time.monotonic()):
            await reading
        assert not others.done()
    assert set((await statuses(platform, cast.provider.token)).values()) == {200}
    again = forger.token(sub=person_id, iat=int(time.time()) + 1)
    assert set((await statuses(platform, again)).values()) == {200}
    listed = await ops.get(f"/v1/people/{person_id}/revocations")
    assert [item["id"] for item in listed["items"]] == [made["id"]]


async def test_one_lost_token_is_out_and_the_person_stays_signed_in(cast: Cast) -> None:
    platform, person_id = cast.platform, cast.member.subject
    jti = f"lost-{uuid.uuid4()}"
    lost = Forger(platform).token(sub=person_id, jti=jti)
    assert set((await statuses(platform, lost)).values()) == {200}
    ops = platform.person("ops", f"ops-{uuid.uuid4().hex[:8]}")
    begun = time.monotonic()
    await ops.post(f"/v1/people/{person_id}/revocations", {"jti": jti, "reason": "found in a log"})
    await until_refused(platform, lost, within=begun + 10 - time.monotonic())
    assert set((await statuses(platform, cast.member.token)).values()) == {200}


async def test_the_event_names_ids_alone_and_only_ops_give_the_order(cast: Cast) -> None:
    platform, person_id = cast.platform, cast.member.subject
    path = f"/v1/people/{person_id}/revocations"
    for person in (cast.member, cast.provider, cast.support):
        answer = await person.send("POST", path, {"reason": "x"})
        assert answer.status_code == 403
    async with platform.ticker(lambda received: received.key == person_id) as ticker:
        ops = platform.person("ops", f"ops-{uuid.uuid4().hex[:8]}")
        made = await ops.post(path, {"jti": "nobody-has-it", "reason": WHAT})
        (told,) = await ticker.until("TokensRevoked")
    assert told.topic == "notifications.people.v1"
    moment = datetime.fromisoformat(made["revoked_at"])
    assert told.received.event == TokensRevoked(person_id=person_id, jti="nobody-has-it", revoked_at=moment)
