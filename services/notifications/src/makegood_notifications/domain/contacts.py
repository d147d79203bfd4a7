"""A changed e-mail address counts once its owner has confirmed it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

CONFIRM: Final = "address-confirm"
"""The message to the new address, with the link."""
CHANGED: Final = "address-changed"
"""The notice to the old one."""
PURPOSE: Final = "links that confirm an address"
"""What the key is derived for that makes the secrets."""


def secret_of(key: bytes, person_id: str, change_id: str) -> str:
    """The secret in the link: derived, so that it is kept nowhere, and sent alone."""
    digest = hmac.digest(key, f"{person_id}\0{change_id}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_of(secret: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(secret.encode()).digest()


def same_address(one: str, other: str) -> bool:
    """Whether both reach the same mailbox; the domain's letters may differ in case."""
    local, _, domain = one.rpartition("@")
    other_local, _, other_domain = other.rpartition("@")
    return local == other_local and domain.casefold() == other_domain.casefold()
