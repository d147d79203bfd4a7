"""SEC-2: tokens that are not to be trusted are refused, and a rotation of keys loses no request."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from makegood_chassis import keys, real_time
from makegood_chassis.auth import Authenticator, Caller, InvalidToken, TokenKeysUnavailable
from makegood_chassis.keys import Keys, read_keys
from makegood_testkit.identity import ISSUER, Identity


def _authenticator(identity: Identity) -> Authenticator:
    return Authenticator(Keys(str(identity.path)), issuer=ISSUER, audience="makegood", longest=3600)


def _part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _unsigned(identity: Identity) -> str:
    _, claims, _ = identity.token().split(".")
    return f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': 'first'})}.{claims}."


def _signed_with_public_key(identity: Identity) -> str:
    """HS256 with the published RSA key as the secret: the classic confusion of algorithms."""
    _, claims, _ = identity.token().split(".")
    public = identity.private["first"].public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{claims}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _own_key_in_header(identity: Identity) -> str:
    mine = rsa.generate_private_key(65537, 2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key(), as_dict=True)
    return identity.token(key=mine, headers={"jwk": public, "jku": "http://127.0.0.1:1/keys"})


def _changed(identity: Identity) -> str:
    header, _, signature = identity.token().split(".")
    _, other, _ = identity.token("eve").split(".")
    return f"{header}.{other}.{signature}"


BAD_TOKENS: dict[str, Any] = {
    "expired": lambda i: i.token(exp=int(time.time()) - 60),
    "without expiry": lambda i: i.token(exp=None),
    "good for 31 years": lambda i: i.token(exp=int(time.time()) + 31 * 365 * 86400),
    "good for 31 years, issued just now": lambda i: i.token(
        iat=int(time.time()), exp=int(time.time()) + 31 * 365 * 86400
    ),
    "good for two hours": lambda i: i.token(exp=int(time.time()) + 7200),
    "good for two hours, nearly over": lambda i: i.token(iat=int(time.time()) - 7000, exp=int(time.time()) + 200),
    "issued in the future": lambda i: i.token(iat=int(time.time()) + 60),
    "issued after its end": lambda i: i.token(iat=int(time.time()) + 3, exp=int(time.time()) + 2),
    "issued some time": lambda i: i.token(iat="yesterday"),
    "issued at true": lambda i: i.token(iat=True),
    "expiry a text": lambda i: i.token(exp=str(int(time.time()) + 60)),
    "expiry without end": lambda i: i.token(exp=float("inf")),
    "no jti": lambda i: i.token(jti=None),
    "empty jti": lambda i: i.token(jti=""),
    "jti a number": lambda i: i.token(jti=7),
    "jti too long": lambda i: i.token(jti="j" * 257),
    "not valid yet": lambda i: i.token(nbf=int(time.time()) + 60),
    "other audience": lambda i: i.token(aud="billing"),
    "no audience": lambda i: i.token(aud=None),
    "other issuer": lambda i: i.token(iss="https://elsewhere.invalid"),
    "no subject": lambda i: i.token(None),
    "empty subject": lambda i: i.token(""),
    "subject with a line feed": lambda i: i.token("anna\n"),
    "subject too long": lambda i: i.token("a" * 129),
    "subject a number": lambda i: i.token(7),
    "roles no list": lambda i: i.token(roles="ops"),
    "no roles": lambda i: i.token(roles=None),
    "alg none": _unsigned,
    "HS256 with the public key": _signed_with_public_key,
    "another's key": lambda i: i.token(key=rsa.generate_private_key(65537, 2048)),
    "own key in the header": _own_key_in_header,
    "unknown critical extension": lambda i: i.token(headers={"crit": ["exp"]}),
    "no kid": lambda i: jwt.encode({"sub": "anna"}, i.private["first"], "RS256"),
    "unknown kid": lambda i: i.token(headers={"kid": "third"}),
    "RS512": lambda i: jwt.encode({"sub": "anna"}, i.private["first"], "RS512", headers={"kid": "first"}),
    "claims of another token": _changed,
    "too long": lambda i: i.token(note="x" * 9000),
    "no token": lambda i: "nonsense",
    "three dots": lambda i: "a.b.c",
}


@pytest.mark.rule("SEC-2")
@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_a_bad_token_is_refused(identity: Identity, name: str) -> None:
    authenticator = _authenticator(identity)
    token = BAD_TOKENS[name](identity)
    with pytest.raises(InvalidToken):
        await authenticator.verify(token)
    assert authenticator.remembered(token) is None


@pytest.mark.rule("SEC-2")
async def test_good_tokens_of_both_algorithms_name_subject_and_known_roles(identity: Identity) -> None:
    identity.add("curve", curve=True)
    authenticator = _authenticator(identity)
    first = await authenticator.verify(identity.token("anna", "member", "king"))
    assert first == Caller("anna", frozenset({"member"}))
    second = await authenticator.verify(identity.token("o.k@example", "support", "ops", kid="curve"))
    assert second == Caller("o.k@example", frozenset({"support", "ops"}))


@pytest.mark.rule("SEC-2")
async def test_a_token_is_remembered_only_until_it_expires(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = _authenticator(identity)
    token = identity.token()
    await authenticator.verify(token)
    assert authenticator.remembered(token) is not None
    later = time.time() + 700
    monkeypatch.setattr(real_time, "now", lambda: later)
    assert authenticator.remembered(token) is None


@pytest.mark.rule("SEC-2")
async def test_a_rotation_loses_no_request(identity: Identity) -> None:
    authenticator = _authenticator(identity)
    await authenticator.verify(identity.token())
    identity.add("second")
    callers = await asyncio.gather(*(authenticator.verify(identity.token(f"m{i}", kid="second")) for i in range(20)))
    assert [caller.subject for caller in callers] == [f"m{i}" for i in range(20)]
    assert (await authenticator.verify(identity.token())).subject == "anna"


@pytest.mark.rule("SEC-2")
async def test_a_withdrawn_key_ends_its_tokens_too(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    identity.add("second")
    authenticator = _authenticator(identity)
    token = identity.token()
    await authenticator.verify(token)
    identity.withdraw("first")
    monkeypatch.setattr(keys, "MINIMUM_INTERVAL", 0.0)
    with pytest.raises(InvalidToken):
        await authenticator.verify(identity.token(kid="second", headers={"kid": "makes it read the keys again"}))
    assert authenticator.remembered(token) is None
    with pytest.raises(InvalidToken):
        await authenticator.verify(token)


@pytest.mark.rule("SEC-2", "REL-9")
async def test_known_keys_stay_when_they_cannot_be_read(identity: Identity) -> None:
    authenticator = _authenticator(identity)
    await authenticator.verify(identity.token())
    identity.path.write_text("no JWKS")
    assert (await authenticator.verify(identity.token("bert"))).subject == "bert"
    with pytest.raises(TokenKeysUnavailable):
        await authenticator.verify(identity.token(headers={"kid": "newer"}))


@pytest.mark.rule("SEC-2")
async def test_production_takes_no_token_that_does_not_say_when_it_was_issued(identity: Identity) -> None:
    """One that lasts too long would be taken once little of its life is left, and could outlive its revocation by then."""
    keys = Keys(str(identity.path))
    strict = Authenticator(keys, issuer=ISSUER, audience="makegood", longest=3600, dated=True)
    with pytest.raises(InvalidToken, match="a claim is missing"):
        await strict.verify(identity.token(iat=None))
    assert (await strict.verify(identity.token(iat=int(time.time())))).subject == "anna"


@pytest.mark.rule("REL-9")
async def test_nobody_can_tell_without_keys(tmp_path: Path, identity: Identity) -> None:
    authenticator = Authenticator(
        Keys("http://127.0.0.1:1/jwks.json"), issuer=ISSUER, audience="makegood", longest=3600
    )
    with pytest.raises(TokenKeysUnavailable):
        await authenticator.verify(identity.token())


@pytest.mark.rule("SEC-2")
async def test_many_unknown_keys_cause_one_fetch_over_http(identity: Identity) -> None:
    fetched: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(identity.path.read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        authenticator = Authenticator(Keys(url), issuer=ISSUER, audience="makegood", longest=3600)
        forged = [identity.token(headers={"kid": f"forged{i}"}) for i in range(50)]
        results = await asyncio.gather(*map(authenticator.verify, forged), return_exceptions=True)
        assert {type(result) for result in results} == {InvalidToken}
        assert (await authenticator.verify(identity.token())).subject == "anna"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(fetched) == 1


@pytest.mark.rule("SEC-2")
def test_weak_and_foreign_keys_of_a_jwks_are_not_used(identity: Identity) -> None:
    good = json.loads(identity.path.read_text())["keys"][0]
    weak = rsa.generate_private_key(65537, 1024).public_key()
    entries = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(weak, as_dict=True), "kid": "weak"},
        {**good, "kid": "encryption", "use": "enc"},
        {key: value for key, value in good.items() if key != "kid"},
        "nonsense",
    ]
    assert set(read_keys(json.dumps({"keys": [*entries, good]}).encode())) == {"first"}
    with pytest.raises(ValueError, match="no RS256"):
        read_keys(json.dumps({"keys": entries}).encode())
