"""Access tokens: JWTs that the identity provider signed, checked against its published keys (JWKS).

Only RS256 and ES256 signatures by a published key count; nothing else that a request says of its caller is believed.
Tokens live in real time, whatever the product's clock says.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
import urllib.request
from collections import OrderedDict
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Literal, get_args

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Role = Literal["member", "provider", "support", "ops"]

ALGORITHMS: Final = ("RS256", "ES256")
LEEWAY: Final = 5.0
"""Seconds that the clocks of issuer and service may differ."""
MAXIMUM_AGE: Final = 300.0
"""Seconds after which the keys are fetched again, so that a withdrawn key ends."""
MINIMUM_INTERVAL: Final = 1.0
"""Seconds between two fetches at least, however many unknown keys are named."""
FETCH_TIMEOUT: Final = 3.0
MAXIMUM_TOKEN: Final = 8192
MAXIMUM_JWKS: Final = 1 << 20
REMEMBERED: Final = 10_000
"""Verified tokens that are kept until they expire, most recently used ones first."""

_SUBJECT = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_ROLES: Final[frozenset[str]] = frozenset(get_args(Role))

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the token says."""

    subject: str
    roles: frozenset[Role]
    until: float = field(default=math.inf, compare=False)
    """When the token ends, seconds of real time; what lasts longer than a request ends with it."""


class InvalidToken(Exception):
    """The token is not to be trusted; the message says why, without quoting it."""


class KeysUnavailable(Exception):
    """The keys that could tell whether the token is valid cannot be fetched."""


def read_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a JWKS that can verify access tokens, by `kid`. Raises ValueError where it is none or holds none."""
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError("the document is no JWKS") from error
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries if isinstance(entries, list) else ():
        key = _usable(entry)
        if key is not None:
            keys[str(entry["kid"])] = key
    if not keys:
        raise ValueError("the JWKS holds no RS256 or ES256 key with a `kid`")
    return keys


def _usable(entry: Any) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    strong = (isinstance(key.key, RSAPublicKey) and key.algorithm_name == "RS256" and key.key.key_size >= 2048) or (
        isinstance(key.key, EllipticCurvePublicKey)
        and key.algorithm_name == "ES256"
        and isinstance(key.key.curve, SECP256R1)
    )
    return key if strong else None


class Keys:
    """The published keys: fetched when first needed, again by age and when a token names an unknown one.

    One fetch at a time and at most one a second. Where a fetch fails, the known keys stay. A token signed by a key published
    a moment ago waits for the next fetch instead of being refused, so that a rotation loses no request.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -MAXIMUM_AGE
        self._attempted = -MAXIMUM_AGE
        self._attempt: asyncio.Task[bool] | None = None
        self.generation = 0
        """Rises whenever a key was withdrawn or exchanged."""

    def known(self, kid: str) -> jwt.PyJWK | None:
        """The key, if it is known; starts a fetch in the background when the keys have grown old."""
        now = time.monotonic()
        if now - self._fetched > MAXIMUM_AGE and now - self._attempted > MINIMUM_INTERVAL:
            self._start()
        return self._keys.get(kid)

    async def find(self, kid: str) -> jwt.PyJWK:
        """The key, fetched if need be. Raises InvalidToken where it is not published, KeysUnavailable where nobody can tell."""
        started = time.monotonic()
        while (key := self._keys.get(kid)) is None:
            if self._fetched >= started:
                raise InvalidToken("no published key has the token's `kid`")
            if not await asyncio.shield(self._start()):
                raise KeysUnavailable
        return key

    def _start(self) -> asyncio.Task[bool]:
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(self._refresh(), name="jwks")
        return self._attempt

    async def _refresh(self) -> bool:
        pause = self._attempted + MINIMUM_INTERVAL - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        self._attempted = begun = time.monotonic()
        try:
            keys = read_keys(await asyncio.to_thread(_fetch, self._url))
        except (OSError, ValueError, HTTPException) as error:
            _log.warning("jwks unavailable", error=type(error).__name__, known_keys=len(self._keys))
            return False
        if any(keys.get(kid) is None or keys[kid].key != key.key for kid, key in self._keys.items()):
            self.generation += 1
        self._keys, self._fetched = keys, begun
        return True


def _fetch(url: str) -> bytes:
    """Reads the JWKS, which may be a file (`/path`, `file:///path`). Blocks; raises OSError or ValueError."""
    if not url.startswith(("http://", "https://")):
        return Path(url.removeprefix("file://")).read_bytes()
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT) as answer:  # noqa: S310 - the scheme is checked above
        document = answer.read(MAXIMUM_JWKS + 1)
    if len(document) > MAXIMUM_JWKS:
        raise ValueError("the JWKS is too large")
    return bytes(document)


class Authenticator:
    """Tells who calls from the access token, and from nothing else."""

    def __init__(self, jwks_url: str, *, issuer: str, audience: str) -> None:
        self._keys = Keys(jwks_url)
        self._issuer = issuer
        self._audience = audience
        self._remembered: OrderedDict[str, tuple[Caller, float, int]] = OrderedDict()

    def remembered(self, token: str) -> Caller | None:
        """The caller of a token that was verified before and has not expired; costs about a microsecond."""
        found = self._remembered.get(token)
        if found is None:
            return None
        caller, expires, generation = found
        if expires <= time.time() or generation != self._keys.generation:
            del self._remembered[token]
            return None
        self._remembered.move_to_end(token)
        return caller

    async def verify(self, token: str) -> Caller:
        """The token's caller. Raises InvalidToken, or KeysUnavailable where its key cannot be fetched."""
        caller = self.remembered(token)
        if caller is not None:
            return caller
        key = await self._key_of(token)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[str(key.algorithm_name)],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(_advice(error)) from error
        until = float(claims["exp"]) + LEEWAY
        caller = _caller(claims, until)
        self._remembered[token] = (caller, until, self._keys.generation)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return caller

    async def _key_of(self, token: str) -> jwt.PyJWK:
        if len(token) > MAXIMUM_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidToken("it is no signed JWT") from error
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken("its signature is neither RS256 nor ES256")
        if "crit" in header or header.get("b64", True) is not True:
            raise InvalidToken("it asks for extensions that are not understood")
        kid = header.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= 256:
            raise InvalidToken("it names no key (`kid`)")
        key = self._keys.known(kid) or await self._keys.find(kid)
        if header["alg"] != key.algorithm_name:
            raise InvalidToken("its algorithm is not its key's")
        return key


def _caller(claims: dict[str, Any], until: float) -> Caller:
    subject, roles = claims["sub"], claims.get("roles")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise InvalidToken("its `sub` is no subject of ours")
    if not isinstance(roles, list):
        raise InvalidToken("its `roles` is no list")
    known: Any = frozenset(role for role in roles if isinstance(role, str) and role in _ROLES)
    return Caller(subject, known, until)


def _advice(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.InvalidAudienceError():
            return "it is for another audience"
        case jwt.InvalidIssuerError():
            return "it is by another issuer"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.MissingRequiredClaimError():
            return "a claim is missing"
        case jwt.InvalidSignatureError():
            return "its signature is not right"
        case _:
            return "it cannot be read"
