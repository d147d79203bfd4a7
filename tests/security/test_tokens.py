"""SEC-2: who is let in, through the gateway and at each service's own door; and keys that change while people call."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from makegood_devtools import keys
from makegood_stack.ports import LISTEN, SERVICES
from makegood_testkit.platform import Cast, Platform

pytestmark = pytest.mark.rule("SEC-2")

OWN = {
    "booking": "/v1/sessions",
    "availability": "/v1/venues",
    "credits": "/v1/plans",
    "notifications": "/v1/deliveries",
}
"""A list of each service that any person may read."""

FORGED = {
    "X-Subject": "support-1",
    "X-User": "support-1",
    "X-User-Id": "support-1",
    "X-Roles": "ops,support",
    "X-Role": "support",
    "X-Makegood-Subject": "support-1",
    "X-Makegood-Roles": "support",
    "X-Forwarded-User": "support-1",
    "X-Authenticated-User": "support-1",
    "X-Jwt-Payload": base64.urlsafe_b64encode(b'{"sub": "support-1", "roles": ["support"]}').decode(),
    "X-Original-Url": "/v1/plans",
    "X-HTTP-Method-Override": "GET",
    "Forwarded": "for=127.0.0.1;by=gateway",
}
"""Headers in which other systems are told who calls; here they are nobody's word."""


class Forger:
    """Makes tokens as the identity provider would, but for one thing."""

    def __init__(self, platform: Platform) -> None:
        self.real = keys.signing_key(platform.home.identity)

    def token(
        self, *, key: Any = None, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": keys.ISSUER, "aud": keys.AUDIENCE, "sub": "member-1", "roles": ["member"], "iat": now,
            "exp": now + 600, "jti": str(uuid.uuid4()),
        }  # fmt: skip
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        return jwt.encode(claims, key or self.real.private, algorithm, headers=header or {"kid": self.real.kid})

    def _by_hand(self, algorithm: str, sign: Callable[[bytes], bytes]) -> str:
        _, claims, _ = self.token(roles=["ops"]).split(".")
        head = _part(json.dumps({"alg": algorithm, "typ": "JWT", "kid": self.real.kid}).encode())
        return f"{head}.{claims}.{_part(sign(f'{head}.{claims}'.encode()))}"

    def unsigned(self, spelling: str = "none") -> str:
        return self._by_hand(spelling, lambda _: b"")

    def confused(self) -> str:
        """HS256 with the public key, which everybody has, as its secret."""
        public = self.real.private.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        secret = public.public_bytes(serialization.Encoding.PEM, form)
        return self._by_hand("HS256", lambda signed: hmac.new(secret, signed, hashlib.sha256).digest())

    def altered(self) -> str:
        head, _, signature = self.token().split(".")
        _, claims, _ = self.token(sub="support-1", roles=["support"]).split(".")
        return f"{head}.{claims}.{signature}"


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _stranger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


BAD: dict[str, Callable[[Forger], str]] = {
    "expired": lambda forger: forger.token(exp=int(time.time()) - 60),
    "without an end": lambda forger: forger.token(exp=None),
    "not valid yet": lambda forger: forger.token(nbf=int(time.time()) + 600),
    "another audience": lambda forger: forger.token(aud="elsewhere"),
    "no audience": lambda forger: forger.token(aud=None),
    "another issuer": lambda forger: forger.token(iss="https://identity.elsewhere.invalid"),
    "no subject": lambda forger: forger.token(sub=None),
    "signed by nobody we know": lambda forger: forger.token(key=_stranger()),
    "a key that is not published": lambda forger: forger.token(key=_stranger(), header={"kid": "unheard-of"}),
    "no key named": lambda forger: forger.token(key=_stranger(), header={}),
    "alg none": lambda forger: forger.unsigned(),
    "alg NoNe": lambda forger: forger.unsigned("NoNe"),
    "HS256 with the public key": lambda forger: forger.confused(),
    "RS512": lambda forger: forger.token(algorithm="RS512"),
    "claims of another token": lambda forger: forger.altered(),
    "garbage": lambda _: "a.b.c",
    "a shared secret": lambda _: jwt.encode({"sub": "x", "aud": keys.AUDIENCE}, "secret" * 8, "HS256"),
}


def _slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["type"]).removeprefix("/problems/")


@pytest.mark.parametrize("kind", [*BAD, "missing"])
async def test_a_token_that_is_no_good_is_refused_at_every_door(
    platform: Platform, elsewhere: httpx.AsyncClient, kind: str
) -> None:
    headers = dict(FORGED)
    if kind != "missing":
        headers["Authorization"] = f"Bearer {BAD[kind](Forger(platform))}"
    for service, path in OWN.items():
        own_door = f"http://{LISTEN}:{platform.stack.ports.of(service)}"
        for base in (platform.stack.base_url, own_door):
            answer = await elsewhere.get(base + path, headers=headers)
            assert (answer.status_code, _slug(answer)) == (401, "unauthenticated"), (base, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_bad_token_books_nothing(cast: Cast, elsewhere: httpx.AsyncClient) -> None:
    body = cast.booking_body(await cast.start_in(timedelta(days=4)))
    for kind in ("expired", "HS256 with the public key", "claims of another token"):
        token = BAD[kind](Forger(cast.platform))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4()), **FORGED}
        answer = await elsewhere.post("/v1/sessions", json=body, headers=headers)
        assert (answer.status_code, _slug(answer)) == (401, "unauthenticated")
    assert (await cast.credits())["held"] == 0


async def test_two_tokens_in_one_request_are_refused(cast: Cast, elsewhere: httpx.AsyncClient) -> None:
    twice = [("Authorization", f"Bearer {person.token}") for person in (cast.member, cast.support)]
    for base in (cast.platform.stack.base_url, f"http://{LISTEN}:{cast.platform.stack.ports.of('booking')}"):
        answer = await elsewhere.get(f"{base}/v1/sessions", headers=twice)
        assert answer.status_code == 401


@pytest.mark.parametrize("roles", [None, [], ["king"], ["Support"], "support", {"support": True}, [["support"]]])
async def test_without_a_role_that_we_know_nothing_is_permitted(platform: Platform, roles: Any) -> None:
    token = Forger(platform).token(roles=roles)
    for path in OWN.values():
        answer = await platform.gateway.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, _slug(answer)) in ((403, "forbidden"), (401, "unauthenticated"))


async def test_headers_that_others_believe_change_nothing(cast: Cast) -> None:
    """A member who calls themselves support in every header that there is stays a member, and themselves."""
    other = await cast.platform.cast()
    session = await other.book()
    for base, service in ((cast.platform.stack.base_url, None), *((None, each) for each in SERVICES)):
        door = base or f"http://{LISTEN}:{cast.platform.stack.ports.of(str(service))}"
        asked = {
            "booking": (f"/v1/sessions/{session['id']}", 404),
            "availability": (f"/v1/providers/{other.provider.subject}/time-off", 403),
            "credits": (f"/v1/members/{other.member.subject}/credits", 404),
            "notifications": (f"/v1/people/{other.member.subject}/contact", 404),
        }
        for owner, (path, status) in asked.items():
            if service in (None, owner):
                headers = {"Authorization": f"Bearer {cast.member.token}", **FORGED, "X-Subject": other.member.subject}
                answer = await cast.platform.gateway.http.get(door + path, headers=headers)
                assert answer.status_code == status, (door, path)


@pytest.mark.slow
async def test_keys_rotate_while_people_call_and_no_request_is_lost(
    platform: Platform, elsewhere: httpx.AsyncClient
) -> None:
    """A key is published, taken up, used beside the old one, and withdrawn; whoever calls in the meantime is let in."""
    folder = platform.home.identity
    old = Forger(platform)
    answers: list[tuple[str, int]] = []
    stop = asyncio.Event()

    async def call(path: str) -> None:
        """Somebody whose token comes fresh from the identity provider each time."""
        number = 0
        while not stop.is_set():
            number += 1
            token = keys.token(folder, "member", f"rotation-{path.count('s')}-{number}")
            answer = await platform.gateway.http.get(path, headers={"Authorization": f"Bearer {token}"})
            answers.append((path, answer.status_code))

    async def status(token: str, path: str = "/v1/sessions") -> int:
        return (await elsewhere.get(path, headers={"Authorization": f"Bearer {token}"})).status_code

    async def until(forger: Forger, wanted: int) -> None:
        async with asyncio.timeout(30):
            while True:
                # One that the gateway has not seen: it remembers good ones, and the services end them minutes later.
                if await status(forger.token(sub="rotation-until")) == wanted:
                    return
                await asyncio.sleep(2.5)  # slower than the gateway's limit of bad tokens

    callers = [asyncio.create_task(call(path)) for path in OWN.values()]
    made = keys.make_key(folder)
    try:
        new = Forger(platform)
        new.real = made
        await until(new, 200)
        # The gateway knows the new key; each service reads it at the first token that names it, and waits for it.
        both = [forger.token(sub=f"rotation-{number}") for number in range(10) for forger in (old, new)]
        statuses = await asyncio.gather(*(status(token, path) for token in both for path in OWN.values()))
        assert set(statuses) == {200}
        for file in folder.glob(f"*-{made.kid}.pem"):
            file.unlink()
        await until(new, 401)
        assert await status(old.token(sub="rotation-old")) == 200
    finally:
        stop.set()
        await asyncio.gather(*callers)
        for file in folder.glob(f"*-{made.kid}.pem"):
            file.unlink()
    assert {path for path, _ in answers} == set(OWN.values())
    assert {status for _, status in answers} == {200}
