"""The keys that encrypt people's keys (setting DATA_KEYS)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LENGTH: Final = 32
"""Bytes of a key: AES-256."""
NONCE: Final = 12
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
FORM: Final = "write `<id>:<32 bytes in base64>`, several separated by commas, the one to use first"


class UnknownMasterKey(Exception):
    """A person's key is encrypted with a master key that the settings do not have. The message is its id."""


class MasterKeys:
    """The first of `keys` encrypts, all of them decrypt. Raises ValueError if there is none, or one of the wrong
    length.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != LENGTH for key in keys.values()):
            raise ValueError(FORM)
        self._keys = dict(keys)
        self._secrets: dict[tuple[str, str], bytes] = {}
        self.current = next(iter(keys))
        """The id of the key that encrypts."""

    @classmethod
    def parse(cls, text: str) -> MasterKeys:
        """Parses the setting. Raises ValueError with advice that does not quote it."""
        keys: dict[str, bytes] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition(":")
            if not _ID.fullmatch(name) or name in keys:
                raise ValueError(FORM)
            try:
                keys[name] = base64.b64decode(value, validate=True)
            except binascii.Error:
                raise ValueError(FORM) from None
        return cls(keys)

    @classmethod
    def development(cls) -> MasterKeys:
        """The master key in development if none is set. Everybody can read it here, so it protects nothing."""
        return cls({"development": hashlib.sha256(b"makegood development").digest()})

    def wrap(self, key: bytes, person_id: str) -> bytes:
        """A person's key, encrypted with the current master key."""
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self._keys[self.current]).encrypt(nonce, key, person_id.encode())

    def unwrap(self, wrapped: bytes, person_id: str, master_key: str) -> bytes:
        """The person's key. Raises UnknownMasterKey, or ValueError if it was tampered with."""
        if master_key not in self._keys:
            raise UnknownMasterKey(master_key)
        try:
            cipher = AESGCM(self._keys[master_key])
            return cipher.decrypt(wrapped[:NONCE], wrapped[NONCE:], person_id.encode())
        except InvalidTag:
            raise ValueError("a person's key does not fit its master key") from None

    def secret(self, purpose: str, master_key: str | None = None) -> bytes:
        """A key for another purpose, derived from the current or the named master key. Raises UnknownMasterKey."""
        name = master_key or self.current
        if name not in self._keys:
            raise UnknownMasterKey(name)
        if (purpose, name) not in self._secrets:  # deriving one takes longer than most of what it is used for
            self._secrets[purpose, name] = HKDF(SHA256(), LENGTH, salt=None, info=purpose.encode()).derive(
                self._keys[name]
            )
        return self._secrets[purpose, name]


def new_key() -> bytes:
    """A new key for a person."""
    return AESGCM.generate_key(LENGTH * 8)
