"""A changed e-mail address is used once its owner has confirmed it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

CONFIRM: Final = "address-confirm"
"""The message to the new address, with the link."""
CHANGED: Final = "address-changed"
"""The warning to the old address."""
PURPOSE: Final = "links that confirm an address"
"""The purpose for which the key of the secrets is derived."""


def secret_of(key: bytes, person_id: str, change_id: str) -> str:
    """The secret in the link. It is derived, so it is stored nowhere."""
    digest = hmac.digest(key, f"{person_id}\0{change_id}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def same_address(one: str, other: str) -> bool:
    """Whether both are the same mailbox. Case does not matter in the domain."""
    local, _, domain = one.rpartition("@")
    other_local, _, other_domain = other.rpartition("@")
    return local == other_local and domain.casefold() == other_domain.casefold()
