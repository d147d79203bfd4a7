"""The published keys that sign access tokens (JWKS): refreshed on a timer, and not used when the last refresh is too old."""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from makegood_chassis.metrics import KEYS_AGE

MAXIMUM_AGE: Final = 300.0
"""Seconds since the last confirmed fetch after which no key is used any more (SEC-2)."""
REFRESH: Final = 30.0
"""Seconds between two fetches by the timer."""
MINIMUM_INTERVAL: Final = 1.0
"""Minimum seconds between two fetches, however many tokens name unknown keys."""
FETCH_TIMEOUT: Final = 3.0
MAXIMUM_JWKS: Final = 1 << 20

_log = structlog.get_logger(__name__)


class UnknownKey(Exception):
    """No published key has this `kid`."""


class TokenKeysUnavailable(Exception):
    """The keys that are needed to check the token cannot be fetched."""


def read_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a JWKS that can verify access tokens, by `kid`. Raises ValueError if it is not a JWKS or has no such
    key.
    """
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError("the document is not a JWKS") from error
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries if isinstance(entries, list) else ():
        key = _usable(entry)
        if key is not None:
            keys[str(entry["kid"])] = key
    if not keys:
        raise ValueError("the JWKS has no RS256 or ES256 key with a `kid`")
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
    """The published keys: fetched every `refresh` seconds by `run`, when a token names an unknown one, and when all are too old.

    One fetch at a time and at most one a second. If a fetch fails, the known keys stay valid until the last successful
    fetch is more than `maximum_age` seconds old. A token signed by a key published a moment ago waits for the next fetch instead of being
    refused, so that a rotation loses no request. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh: float = REFRESH,
        maximum_age: float = MAXIMUM_AGE,
        ca_file: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._every = refresh
        self._maximum_age = maximum_age
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -float("inf")
        self._attempted = -float("inf")
        self._attempt: asyncio.Task[bool] | None = None

    @property
    def fresh(self) -> bool:
        """Whether the keys were confirmed recently."""
        return self._clock() - self._fetched <= self._maximum_age

    def known(self, kid: str) -> jwt.PyJWK | None:
        """The key, if it is known and was confirmed recently. An unchanged key stays the same object from fetch to
        fetch.
        """
        return self._keys.get(kid) if self.fresh else None

    async def find(self, kid: str) -> jwt.PyJWK:
        """The key, fetched if necessary. Raises UnknownKey if it is not published, and TokenKeysUnavailable if the keys
        cannot be fetched.
        """
        asked = self._clock()
        while (key := self.known(kid)) is None:
            if self._fetched >= asked:
                raise UnknownKey
            if not await asyncio.shield(self._start()):
                raise TokenKeysUnavailable
        return key

    async def run(self) -> None:
        """Fetches on the timer until cancelled, and sooner after a failed fetch."""
        KEYS_AGE.labels("tokens").set_function(lambda: self._clock() - self._fetched)
        try:
            while True:
                fetched = await asyncio.shield(self._start())
                await asyncio.sleep(self._every if fetched else min(self._every, 2.0))
        finally:
            if self._attempt is not None:
                self._attempt.cancel()

    def _start(self) -> asyncio.Task[bool]:
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(self._refresh(), name="jwks")
        return self._attempt

    async def _refresh(self) -> bool:
        pause = self._attempted + MINIMUM_INTERVAL - self._clock()
        if pause > 0:
            await asyncio.sleep(pause)
        self._attempted = begun = self._clock()
        try:
            # An issuer that answers byte by byte counts as not answering.
            async with asyncio.timeout(2 * FETCH_TIMEOUT):
                keys = read_keys(await asyncio.to_thread(fetch_document, self._url, self._ca_file))
        except (OSError, ValueError, HTTPException) as error:
            age = round(begun - self._fetched) if self._keys else None
            _log.warning("jwks unavailable", error=type(error).__name__, known_keys=len(self._keys), age=age)
            return False
        for kid, key in self._keys.items():
            if kid in keys and keys[kid].key == key.key and keys[kid].algorithm_name == key.algorithm_name:
                keys[kid] = key
        gone = [kid for kid, key in self._keys.items() if keys.get(kid) is not key]
        if gone:
            _log.info("signing keys withdrawn", keys=gone)
        self._keys, self._fetched = keys, begun
        return True


class _StaysEncrypted(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to http: an attacker on that link could supply their own keys."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https://"):
            raise ValueError("the JWKS redirects to an unencrypted address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_document(url: str, ca_file: str = "") -> bytes:
    """Reads the JWKS, which may be a file (`/path`, `file:///path`). `ca_file`: PEM file of the authorities to trust, if not
    the system's. Blocks; raises OSError or ValueError."""
    if not url.startswith(("http://", "https://")):
        return Path(url.removeprefix("file://")).read_bytes()
    handlers: list[urllib.request.BaseHandler] = [_StaysEncrypted()]
    if url.startswith("https://"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None)))
    with urllib.request.build_opener(*handlers).open(url, timeout=FETCH_TIMEOUT) as answer:
        document = answer.read(MAXIMUM_JWKS + 1)
    if len(document) > MAXIMUM_JWKS:
        raise ValueError("the JWKS is too large")
    return bytes(document)
