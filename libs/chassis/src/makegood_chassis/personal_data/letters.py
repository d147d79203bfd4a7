"""Texts that go from one service to another inside an event. Any service can seal them for a person with the public
half of a key, and only a service with that person's key can open them (HPKE, RFC 9180).

The pair is derived from the person's key in `personal_keys`. Once that key is destroyed, no copy in a topic, backup or
dead letter can be opened.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PURPOSE: Final = b"makegood words in events"
_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Letter:
    """What a sealed text is bound to: the event's `kind`, its `entity`, and the `author`. It can only be opened with
    the same ones.
    """

    kind: str
    entity: str
    author: str

    @property
    def bound(self) -> bytes:
        return "\0".join((self.kind, self.entity, self.author)).encode()


def public_half(key: bytes) -> str:
    """The public half with which others seal for the person with this key, in base64."""
    return base64.b64encode(_private(key).public_key().public_bytes_raw()).decode()


def seal_letter(public_key: str, letter: Letter, text: str) -> str:
    """The sealed text in base64. Raises ValueError for an invalid key."""
    recipient = X25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    return base64.b64encode(_SUITE.encrypt(text.encode(), recipient, letter.bound)).decode()


def seals(public_key: str) -> bool:
    """Whether the key can seal a text at all."""
    try:
        seal_letter(public_key, Letter("", "", ""), "")
    except ValueError:  # also for a point with which every secret is the same
        return False
    return True


def open_letter(key: bytes, letter: Letter, sealed: str) -> str | None:
    """The text. None if it was not sealed for this key and place."""
    try:
        return _SUITE.decrypt(base64.b64decode(sealed, validate=True), _private(key), letter.bound).decode()
    except (InvalidTag, binascii.Error, ValueError):
        return None


def _private(key: bytes) -> X25519PrivateKey:
    derived = HKDF(SHA256(), _LENGTH, salt=None, info=_PURPOSE).derive(key)
    return X25519PrivateKey.from_private_bytes(derived)
