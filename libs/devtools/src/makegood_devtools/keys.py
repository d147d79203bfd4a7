"""The development identity: RSA key pairs in a folder, their public halves as a JWKS, and tokens signed with one of them.

To rotate keys, make another one (`makegood token --new-key`). It is published at once, and used once all services have had the
time to read it. Tokens of the old key stay valid as long as its file exists.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://identity.makegood.invalid"
AUDIENCE = "makegood"
ROLES = ("member", "provider", "support", "ops")
LONGEST = timedelta(hours=1)
"""How long a token lives; the services refuse longer ones (TOKEN_MAX_LIFETIME)."""
PUBLISHED_FOR = 20.0
"""Seconds that a key is published before it signs: the gateway reads the keys every ten, so no token comes too soon (SEC-2)."""


@dataclass(frozen=True)
class Key:
    """A key pair. `kid` is derived from the public key. `made` is in seconds since 1970."""

    kid: str
    private: rsa.RSAPrivateKey
    made: float


def _kid(public: rsa.RSAPublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def make_key(folder: Path) -> Key:
    """Makes a new key pair. The file is readable only by its owner."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kid = _kid(private.public_key())
    made = time.time_ns()
    path = folder / f"{made:020d}-{kid}.pem"
    part = path.with_suffix(".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
    part.replace(path)
    return Key(kid, private, made / 1e9)


def load_keys(folder: Path) -> list[Key]:
    """All keys of the folder, oldest first."""
    found = (_load(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.pem")))
    return [key for key in found if key is not None]


@lru_cache(maxsize=64)
def _load(path: Path, changed: int) -> Key | None:
    """The key in a file, cached until the file changes, because checking a key takes tens of milliseconds."""
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        return None
    named = path.name.partition("-")[0]
    return Key(_kid(private.public_key()), private, (int(named) if named.isdigit() else changed) / 1e9)


def signing_key(folder: Path) -> Key:
    """The newest key that all services have had time to read, or else the oldest. Made if there is none."""
    keys = load_keys(folder)
    if not keys:
        return make_key(folder)
    known = [key for key in keys if time.time() - key.made >= PUBLISHED_FOR]
    return known[-1] if known else keys[0]


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def jwks(folder: Path) -> dict[str, Any]:
    """The public halves of all keys as a JSON Web Key Set (RFC 7517)."""
    keys = []
    for key in load_keys(folder):
        numbers = key.private.public_key().public_numbers()
        common = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid}
        keys.append({**common, "n": _number(numbers.n), "e": _number(numbers.e)})
    return {"keys": keys}


def write_jwks(folder: Path, target: Path) -> Path:
    """Writes the key set to a file, for services that read it from a path."""
    target.write_text(json.dumps(jwks(folder)))
    return target


def token(folder: Path, role: str, subject: str, lifetime: timedelta = LONGEST, *, issuer: str = ISSUER) -> str:
    """An access token as the identity provider would issue it: claims `iss aud sub roles iat exp jti`, RS256."""
    key = signing_key(folder)
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": subject,
        "roles": [role],
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid})


@dataclass
class Login:
    """A login: `token` is renewed after half of its lifetime, as a client app would do."""

    folder: Path = field(repr=False)
    role: str
    subject: str
    _token: str = field(default="", init=False, repr=False)
    _renewed: float = field(default=0.0, init=False, repr=False)

    @property
    def token(self) -> str:
        """An access token that is valid for at least half an hour."""
        if not self._token or time.monotonic() - self._renewed > LONGEST.total_seconds() / 2:
            self._token, self._renewed = token(self.folder, self.role, self.subject), time.monotonic()
        return self._token
