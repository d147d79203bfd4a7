"""An identity provider for tests: signs tokens and publishes its keys as a JWKS in a file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from makegood_devtools.client import access_reason

ISSUER = "https://identity.makegood.invalid"
AUDIENCE = "makegood"


class Identity:
    """Signs tokens with any of its keys. `path` is the file for a service's JWKS_URL."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.private: dict[str, Any] = {}
        self.add("first")

    def add(self, kid: str, *, curve: bool = False) -> None:
        """Creates a key, RSA or elliptic curve, and publishes it."""
        self.private[kid] = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        self.publish()

    def withdraw(self, kid: str) -> None:
        """Stops publishing the key."""
        del self.private[kid]
        self.publish()

    def publish(self) -> None:
        keys = [{**_jwk(key), "kid": kid, "use": "sig"} for kid, key in self.private.items()]
        self.path.write_text(json.dumps({"keys": keys}))

    def token(
        self,
        subject: Any = "anna",
        *roles: str,
        kid: str = "first",
        key: Any = None,
        headers: Any = None,
        **claims: Any,
    ) -> str:
        """A valid token, except for the given claims. A claim of None is left out."""
        private = key or self.private[kid]
        algorithm = "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "roles": list(roles or ("member",)),
            "exp": int(time.time()) + 600,
            "jti": "test",
        } | claims
        return jwt.encode(
            {name: value for name, value in content.items() if value is not None},
            private,
            algorithm,
            headers={"kid": kid, **(headers or {})},
        )

    def bearer(self, subject: str = "anna", *roles: str) -> dict[str, str]:
        """The headers of a request by this person: a valid token, and for support and ops their reason for access."""
        reason = next((access_reason(role) for role in roles if access_reason(role)), {})
        return {"Authorization": f"Bearer {self.token(subject, *roles, iat=int(time.time()))}", **reason}


def _jwk(key: Any) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "RS256"}
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "ES256"}
