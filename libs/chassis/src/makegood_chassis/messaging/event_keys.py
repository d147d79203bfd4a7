"""The public keys that verify events, by `kid`, with the service that owns each. Fetched on a timer, and when one is
missing."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from makegood_contracts.topics import SERVICES

from makegood_chassis.keys import FETCH_TIMEOUT, fetch_document
from makegood_chassis.messaging.signatures import thumbprint
from makegood_chassis.metrics import KEYS_AGE

REFRESH: Final = 30.0
"""Seconds between two fetches: so soon a withdrawn key ends."""
RETRY: Final = 2.0
KEPT: Final = 3600.0
"""Seconds that the keys stay good while they cannot be fetched. Then consumers wait, and refuse nothing."""
PATIENCE: Final = 10.0
"""Seconds from the first failed fetch for which consumers wait because of an unknown key. It may be a new one, but naming one
must not stop a consumer for as long as the keys are away."""
BURST: Final = 3
_EACH: Final = 10.0
"""Fetches because of an unknown key: three at once, then one in so many seconds, whatever records name."""
_log = structlog.get_logger(__name__)


class EventKeysUnavailable(OSError):
    """The keys cannot be fetched, so signatures cannot be checked. This passes by itself."""


@dataclass(frozen=True, slots=True)
class EventKey:
    """A public key and the service that owns it."""

    service: str
    public: Ed25519PublicKey


def read_event_keys(document: bytes) -> dict[str, EventKey]:
    """The Ed25519 keys of a JWKS, by `kid`, which is their thumbprint. Raises ValueError if it is no JWKS or has no
    such key."""
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError("the document is not a JWKS") from error
    found = [_usable(entry) for entry in entries] if isinstance(entries, list) else []
    keys = {thumbprint(key.public): key for key in found if key is not None}
    if not keys:
        raise ValueError("the JWKS holds no Ed25519 key with a `makegood_service`")
    return keys


def _usable(entry: Any) -> EventKey | None:
    if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
        return None
    service, x = entry.get("makegood_service"), entry.get("x")
    if service not in SERVICES or not isinstance(x, str):
        return None
    try:
        return EventKey(service, Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(x + "=" * (-len(x) % 4))))
    except ValueError:
        return None


def fetch_event_keys(url: str, ca_file: str = "") -> dict[str, EventKey]:
    """Reads the keys from an address or a file (`/path`, `file:///path`). Blocks. Raises OSError or ValueError.

    `ca_file`: a PEM file of the authorities to trust, if not the system's.
    """
    try:
        return read_event_keys(fetch_document(url, ca_file))
    except HTTPException as error:
        raise OSError(type(error).__name__) from error


class EventKeys:
    """The keys as they were last fetched. `run()` keeps them fresh. `clock` counts seconds and never goes back."""

    def __init__(self, url: str, ca_file: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._ca_file = ca_file
        self._clock = clock
        self._keys: Mapping[str, EventKey] = {}
        self._fetched = float("-inf")
        self._failing_since: float | None = None
        self._attempt: asyncio.Task[bool] | None = None
        self._allowance = float(BURST)
        self._refilled = self._clock()
        self.generation = 0
        """Rises whenever a key was withdrawn."""

    @classmethod
    def fixed(cls, keys: Mapping[str, EventKey]) -> EventKeys:
        """Keys that never change, for tools."""
        made = cls("")
        made._keys, made._fetched = keys, float("inf")
        return made

    @property
    def fresh(self) -> bool:
        """Whether the keys are recent enough to be relied on."""
        return self._clock() - self._fetched < KEPT

    def get(self, kid: str) -> EventKey | None:
        return self._keys.get(kid)

    async def run(self) -> None:
        """Fetches on a timer until cancelled."""
        KEYS_AGE.labels("events").set_function(lambda: self._clock() - self._fetched)
        while True:
            fetched = await self.refresh()
            await asyncio.sleep(REFRESH if fetched else RETRY)

    async def ensure(self) -> None:
        """Returns once there are keys that can be relied on. Raises EventKeysUnavailable if they cannot be fetched
        now."""
        if not self.fresh and not await self.refresh():
            raise EventKeysUnavailable("the keys that sign events cannot be fetched")

    async def look_again(self) -> bool:
        """Fetches because a record names an unknown key. Returns False if it did so too often lately, or if fetching has
        failed for `PATIENCE`.

        Raises EventKeysUnavailable if the keys cannot be fetched now.
        """
        now = self._clock()
        if not self._url or (self._failing_since is not None and now - self._failing_since >= PATIENCE):
            return False
        self._allowance = min(BURST, self._allowance + (now - self._refilled) / _EACH)
        self._refilled = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        if not await self.refresh():
            self._allowance += 1
            raise EventKeysUnavailable("the keys that sign events cannot be fetched")
        return True

    async def refresh(self) -> bool:
        """Fetches now, once for all who ask in the meantime. Returns False, and keeps the known keys, if that fails."""
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(self._refresh(), name="event-keys")
        return await asyncio.shield(self._attempt)

    async def _refresh(self) -> bool:
        begun = self._clock()
        try:
            # An answer that trickles in counts as no answer, because everybody who needs keys waits for this fetch.
            async with asyncio.timeout(2 * FETCH_TIMEOUT):
                keys = await asyncio.to_thread(fetch_event_keys, self._url, self._ca_file)
        except (OSError, ValueError) as error:
            _log.warning("event keys unavailable", error=type(error).__name__, known_keys=len(self._keys))
            self._failing_since = begun if self._failing_since is None else self._failing_since
            return False
        if any(kid not in keys for kid in self._keys):
            self.generation += 1
        self._keys, self._fetched, self._failing_since = keys, begun, None
        return True
