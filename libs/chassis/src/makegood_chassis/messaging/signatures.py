"""Detached signatures of events: Ed25519 over the root of a Merkle tree. Its leaves are the records sent together.

One signature serves up to `MOST_RECORDS` records, and a consumer verifies it once for all of them. Each record carries
the header `makegood_signature`: `<kid>.<sides>.<path>.<signature>`. `path` (base64url) holds the hashes beside the way
from the record's leaf to the root. Bit i of `sides` (hexadecimal) is set if hash i stands on the left.

Hashes are SHA-256. As in RFC 9162, a leaf's input begins with 0x00 and a node's with 0x01, so neither passes for the
other.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

SIGNATURE: Final = "makegood_signature"
MOST_RECORDS: Final = 64
"""Records under one signature: more make the signing no cheaper that counts, and every path longer."""
_CONTEXT: Final = b"makegood event batch 1\0"
_DEEPEST: Final = 16
_LONGEST: Final = 1200
_ALSO_COVERED: Final = frozenset({"traceparent", "content-type"})
"""Headers that are covered beside those that begin with `ce_`."""

_sha256 = hashlib.sha256


class MalformedSignature(ValueError):
    """The header is not a signature of this kind."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the header of one record says."""

    kid: str
    sides: int
    path: tuple[bytes, ...]
    signature: bytes


def leaf(topic: str, key: bytes, headers: Iterable[tuple[str, bytes]], value: bytes) -> bytes:
    """The hash of a record: topic (without the cluster's prefix), key, covered headers in order, value.

    The input is 0x00, the number of these fields and the length of each (32 bits, big-endian), then the fields
    themselves. A header is two fields. `makegood_` headers are not covered, so a record that was put back keeps its
    signature.
    """
    fields = [topic.encode(), key]
    for name, content in headers:
        covered = _covered(name)
        if covered is not None:
            fields += (covered, content)
    fields.append(value)
    count = len(fields)
    return _sha256(b"\0" + _lengths(count).pack(count, *map(len, fields)) + b"".join(fields)).digest()


@lru_cache(maxsize=256)
def _covered(name: str) -> bytes | None:
    """The header's name as it is hashed; None for a header that is not covered."""
    return name.encode() if name.startswith("ce_") or name in _ALSO_COVERED else None


@lru_cache(maxsize=64)
def _lengths(count: int) -> Struct:
    return Struct(f">{count + 1}I")


def root_of(leaf_hash: bytes, sides: int, path: Sequence[bytes]) -> bytes:
    """The root that the leaf and its path lead to."""
    node = leaf_hash
    for beside in path:
        node = _sha256(b"\1" + beside + node if sides & 1 else b"\1" + node + beside).digest()
        sides >>= 1
    return node


def tree(leaves: Sequence[bytes]) -> tuple[bytes, list[tuple[int, list[bytes]]]]:
    """The root, and the sides and path of each leaf. A node without a neighbour goes up unchanged."""
    ways: list[tuple[int, list[bytes]]] = [(0, []) for _ in leaves]
    level = list(leaves)
    members = [[place] for place in range(len(leaves))]
    while len(level) > 1:
        above, above_members = [], []
        for left in range(0, len(level) - 1, 2):
            right = left + 1
            for place in members[left]:
                ways[place][1].append(level[right])
            for place in members[right]:
                sides, path = ways[place]
                ways[place] = (sides | 1 << len(path), path)
                path.append(level[left])
            above.append(_sha256(b"\1" + level[left] + level[right]).digest())
            above_members.append(members[left] + members[right])
        if len(level) % 2:
            above.append(level[-1])
            above_members.append(members[-1])
        level, members = above, above_members
    return level[0], ways


def read(header: bytes | None) -> Signature:
    """The signature in the header. Raises MalformedSignature."""
    if header is None or len(header) > _LONGEST:
        raise MalformedSignature
    try:
        kid, sides, path, signature = header.decode("ascii").split(".")
        hashes, signed = _decoded(path), _signature_of(signature)
        turns = int(sides, 16)
    except ValueError as error:
        raise MalformedSignature from error
    depth, rest = divmod(len(hashes), 32)
    if rest or depth > _DEEPEST or len(signed) != 64 or not kid or turns < 0 or turns >> depth:
        raise MalformedSignature
    if sides != f"{turns:x}":
        raise MalformedSignature
    return Signature(kid, turns, tuple(hashes[at : at + 32] for at in range(0, len(hashes), 32)), signed)


def verify(public: Ed25519PublicKey, root: bytes, signature: bytes) -> None:
    """Checks the signature. Raises cryptography's InvalidSignature."""
    public.verify(signature, _CONTEXT + root)


def thumbprint(public: Ed25519PublicKey) -> str:
    """The key's id: its JWK thumbprint (RFC 7638, RFC 8037), so that keys need no names."""
    x = _encoded(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return _encoded(_sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())


def jwk(public: Ed25519PublicKey, service: str) -> dict[str, str]:
    """The public key as services publish it, with the service that owns it."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
        "kid": thumbprint(public),
        "x": _encoded(public.public_bytes(Encoding.Raw, PublicFormat.Raw)),
        "makegood_service": service,
    }


class Signer:
    """Signs the records of one service with its private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.kid = thumbprint(self.public)

    @classmethod
    def of(cls, pem: str) -> Signer:
        """From a PKCS #8 private key in PEM. Raises ValueError, which never quotes the key."""
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise ValueError("must be an unencrypted private key in PEM (PKCS #8)") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("must be an Ed25519 key: openssl genpkey -algorithm ed25519")
        return cls(key)

    def sign(self, leaves: Sequence[bytes]) -> list[bytes]:
        """The header's value for each of these records, in their order."""
        values: list[bytes] = []
        for start in range(0, len(leaves), MOST_RECORDS):
            root, ways = tree(leaves[start : start + MOST_RECORDS])
            signature = _encoded(self._private.sign(_CONTEXT + root))
            values += [f"{self.kid}.{sides:x}.{_encoded(b''.join(path))}.{signature}".encode() for sides, path in ways]
        return values


@lru_cache(maxsize=1024)
def _signature_of(text: str) -> bytes:
    """The records of a batch share it."""
    return _decoded(text)


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Decodes base64url without padding. Raises ValueError for any other spelling."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
