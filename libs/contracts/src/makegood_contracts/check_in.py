"""The code that a venue shows, by which people check in (JOIN-3). Availability makes it, and tells its digest alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, which has no letters that are read as digits."""
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
_LENGTH: Final = 8


def new_code() -> str:
    """A code of eight letters and digits, 40 random bits, as it is shown: `7K3M-9QXT`."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{code[:4]}-{code[4:]}"


def digest(code: str, venue_id: str) -> str:
    """What others are told of the venue's code. Upper and lower case, spaces and hyphens make no difference."""
    plain = code.upper().translate(_READ_AS)
    return hashlib.sha256(f"{venue_id} {plain}".encode()).hexdigest()


def is_code(code: str, venue_id: str, known: str) -> bool:
    """Whether the code is the one of which `known` is the digest."""
    return hmac.compare_digest(digest(code, venue_id), known)
