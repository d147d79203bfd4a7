"""Unsubscribe links. They are signed, so that no sign-in is needed (RFC 8058)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from makegood_chassis.personal_data.master_keys import MasterKeys, UnknownMasterKey
from makegood_contracts.ids import is_person_id

PATH: Final = "/v1/unsubscribe"
PURPOSE: Final = "links that end e-mails"
"""The purpose for which the signing key is derived."""
LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class UnsubscribeLink:
    """A link that ends a person's e-mails. `signature` binds it to the address to which the e-mail was sent."""

    person_id: str
    master_key: str
    signature: bytes

    def fits(self, keys: MasterKeys, email: str) -> bool:
        """Whether it was made for this address. A link for an earlier address does not work."""
        try:
            return hmac.compare_digest(self.signature, _sign(keys, self.master_key, self.person_id, email))
        except UnknownMasterKey:
            return False

    @property
    def token(self) -> str:
        """The link as the last part of its address."""
        return ".".join(map(_text, (self.person_id.encode(), self.master_key.encode(), self.signature)))

    @classmethod
    def parse(cls, token: str) -> UnsubscribeLink | None:
        """The link in a token. None if it is not one of ours."""
        try:
            person_id, master_key, signature = map(_bytes, token.split("."))
            link = cls(person_id.decode(), master_key.decode(), signature)
        except ValueError:
            return None
        return link if is_person_id(link.person_id) else None


def link_for(keys: MasterKeys, person_id: str, email: str) -> UnsubscribeLink:
    """The link in e-mails to this person at this address."""
    return UnsubscribeLink(person_id, keys.current, _sign(keys, keys.current, person_id, email))


def headers(url: str) -> tuple[tuple[str, str], ...]:
    """The headers for a mail program's unsubscribe button. `url` takes a POST and needs nothing else."""
    return ("List-Unsubscribe", f"<{url}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")


def _sign(keys: MasterKeys, master_key: str, person_id: str, email: str) -> bytes:
    message = f"{person_id}\0{email.casefold()}".encode()
    return hmac.digest(keys.secret(PURPOSE, master_key), message, hashlib.sha256)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not valid base64url") from error
