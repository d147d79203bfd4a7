"""Whether a record was signed by the service that owns its topic."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from makegood_contracts.topics import BY_NAME

from makegood_chassis.messaging.event_keys import EventKeys
from makegood_chassis.messaging.refusals import SignatureRefusal
from makegood_chassis.messaging.signatures import SIGNATURE, MalformedSignature, Signature, leaf, read, root_of, verify

_REMEMBERED: Final = 4096
"""Roots whose signature was verified; those of the last few thousand batches."""


def read_signature(headers: Sequence[tuple[str, Any]]) -> Signature | SignatureRefusal:
    """The record's signature, or why there is none that any key could verify."""
    signatures = [content for name, content in headers if name == SIGNATURE]
    if not signatures:
        return "unsigned"
    try:
        return read(signatures[0]) if len(signatures) == 1 else "signature-malformed"
    except MalformedSignature:
        return "signature-malformed"


class Verifier:
    """Verifies records with published keys. A batch's signature is verified once, its records by their paths."""

    def __init__(self, keys: EventKeys) -> None:
        self.keys = keys
        self._roots: OrderedDict[tuple[str, bytes, bytes], None] = OrderedDict()
        self._generation = keys.generation

    def check(
        self, topic: str, key: bytes | None, headers: Sequence[tuple[str, Any]], value: bytes | None
    ) -> SignatureRefusal | None:
        """Why the record is refused; None if its topic's owner signed exactly this. `topic` is without the cluster's
        prefix."""
        signature = read_signature(headers)
        if isinstance(signature, str):
            return signature
        signer = self.keys.get(signature.kid)
        if signer is None:
            return "key-unknown"
        owned = BY_NAME.get(topic)
        if owned is None or signer.service != owned.owner:
            return "key-of-another-service"
        if None in [content for _, content in headers]:
            return "signature-wrong"  # a header without a value is never signed
        root = root_of(leaf(topic, key or b"", headers, value or b""), signature.sides, signature.path)
        if self._generation != self.keys.generation:
            self._generation = self.keys.generation
            self._roots.clear()
        known = (signature.kid, root, signature.signature)
        if known in self._roots:
            return None
        try:
            verify(signer.public, root, signature.signature)
        except InvalidSignature:
            return "signature-wrong"
        self._roots[known] = None
        if len(self._roots) > _REMEMBERED:
            self._roots.popitem(last=False)
        return None
