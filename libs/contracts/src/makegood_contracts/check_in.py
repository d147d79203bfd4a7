"""Check-in codes that venues show (JOIN-3). Availability creates them and publishes only their digests."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, which omits letters that look like digits."""
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
_LENGTH: Final = 8


def new_code() -> str:
    """A code of eight letters and digits (40 random bits), formatted as `7K3M-9QXT`."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{code[:4]}-{code[4:]}"


def digest(code: str, venue_id: str) -> str:
    """The digest of a venue's code. Case, spaces and hyphens are ignored."""
    plain = code.upper().translate(_READ_AS)
    return hashlib.sha256(f"{venue_id} {plain}".encode()).hexdigest()


def is_code(code: str, venue_id: str, known: str) -> bool:
    """Whether `known` is the digest of this code."""
    return hmac.compare_digest(digest(code, venue_id), known)
