"""Who is let in: tokens of every bad kind, keys that change, and an identity provider that is away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gateway_harness import Gateway, running_gateway
from makegood_testkit.waiting import until


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(gateway: Gateway) -> str:
    claims = {"iss": "https://identity.makegood.invalid", "aud": "makegood", "sub": "x", "exp": int(time.time()) + 600}
    return f"{_part({'alg': 'none', 'kid': 'first'})}.{_part(dict(claims))}."


def _signed_with_the_public_key(gateway: Gateway) -> str:
    """HS256 with the public key as its secret: the classic confusion of algorithms."""
    secret = (
        gateway.identity.keys["first"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    claims = {"iss": "https://identity.makegood.invalid", "aud": "makegood", "sub": "x", "exp": int(time.time()) + 600}
    signed = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{_part(dict(claims))}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _bad_token(kind: str, gateway: Gateway) -> str:
    identity = gateway.identity
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    match kind:
        case "expired":
            return identity.token(exp=int(time.time()) - 60)
        case "without an end":
            return identity.token(exp=None)
        case "other audience":
            return identity.token(aud="elsewhere")
        case "other issuer":
            return identity.token(iss="https://elsewhere.invalid")
        case "alg none":
            return _unsigned(gateway)
        case "alg confused":
            return _signed_with_the_public_key(gateway)
        case "signed by nobody":
            return identity.token(key=stranger)
        case "altered":
            head, _, signature = identity.token().split(".")
            return f"{head}.{_part({'sub': 'support-1', 'roles': ['support']})}.{signature}"
        case _:
            return "no-token-at-all"


@pytest.mark.rule("SEC-2")
@pytest.mark.parametrize(
    "kind",
    [
        "expired",
        "without an end",
        "other audience",
        "other issuer",
        "alg none",
        "alg confused",
        "signed by nobody",
        "altered",
        "garbage",
    ],
)
def test_a_bad_token_is_refused_before_any_service_sees_it(gateway: Gateway, client: httpx.Client, kind: str) -> None:
    before = gateway.upstreams["booking"].seen
    answer = client.get("/v1/sessions", headers={"Authorization": f"Bearer {_bad_token(kind, gateway)}"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="makegood", error="invalid_token"'
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("/problems/unauthenticated", 401)
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    assert gateway.upstreams["booking"].seen == before


@pytest.mark.rule("SEC-2")
def test_without_a_token_the_challenge_names_no_error(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.get("/v1/sessions?note=x")
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="makegood"'
    assert answer.headers["cache-control"] == "no-store"


def test_a_good_token_is_handed_on_for_the_service_to_check_again(gateway: Gateway, client: httpx.Client) -> None:
    headers = gateway.headers("handed-on")
    seen = client.get("/v1/sessions", headers=headers).json()["headers"]
    assert seen["authorization"] == headers["Authorization"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_s_name_has_no_case(gateway: Gateway, client: httpx.Client, scheme: str) -> None:
    token = gateway.identity.token("any-case")
    answer = client.get("/v1/sessions", headers={"Authorization": f"{scheme} {token}"})
    assert answer.status_code == 200
    refused = client.get("/v1/sessions", headers={"Authorization": f"{scheme} {token[:-8]}"})
    assert refused.status_code == 401


@pytest.mark.rule("SEC-2")
def test_a_token_that_was_good_is_refused_once_it_has_expired(gateway: Gateway, client: httpx.Client) -> None:
    """Its signature need not be checked again, its end must be. Clocks may differ by five seconds."""
    headers = {"Authorization": f"Bearer {gateway.identity.token('ageing', exp=int(time.time()) - 3)}"}
    assert client.get("/v1/sessions", headers=headers).status_code == 200
    until(lambda: client.get("/v1/sessions", headers=headers).status_code == 401, what="the token has expired")


@pytest.mark.rule("SEC-2")
def test_keys_rotate_and_an_absent_identity_provider_keeps_nobody_out(tmp_path: Path) -> None:
    with running_gateway(tmp_path, jwks_seconds=6) as gateway, httpx.Client(base_url=gateway.url) as client:

        def status(token: str) -> int:
            return client.get("/v1/sessions", headers={"Authorization": f"Bearer {token}"}).status_code

        old, old_key = gateway.identity.token("old"), gateway.identity.keys["first"]
        assert status(old) == 200
        gateway.identity.add_key("second")
        new = gateway.identity.token("new", kid="second")
        until(lambda: status(new) == 200, what="the new key is taken up")
        assert status(old) == 200
        del gateway.identity.keys["first"]
        until(
            lambda: status(gateway.identity.token("old", key=old_key, jti=str(uuid4()))) == 401, what="the old key goes"
        )

        gateway.identity_server.stop()
        failed = "http.gateway.jwt_authn.jwks_fetch_failed: "

        def failures() -> int:
            stats = httpx.get(f"{gateway.admin}/stats?filter=jwks_fetch_failed").text
            return sum(int(line.removeprefix(failed)) for line in stats.splitlines() if line.startswith(failed))

        before = failures()
        until(lambda: failures() >= before + 2, what="the keys were asked for in vain")
        assert status(new) == 200
