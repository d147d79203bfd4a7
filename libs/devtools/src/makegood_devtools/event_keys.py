"""Development keys that sign events, one pair per service.

`<folder>/<service>/key.pem` is only for that service's processes. `<folder>/public/event-keys.json` has all public keys.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from makegood_chassis.messaging.signatures import jwk
from makegood_contracts.topics import SERVICES


def private_key_file(folder: Path, service: str) -> Path:
    return folder / service / "key.pem"


def public_keys_file(folder: Path) -> Path:
    return folder / "public" / "event-keys.json"


def make_event_keys(folder: Path) -> None:
    """Makes missing key pairs, readable only by their owner, and writes the key set."""
    entries = []
    for service in SERVICES:
        path = private_key_file(folder, service)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write(path, pem, 0o600)
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key; remove it, and a new one is made")
        entries.append(jwk(key.public_key(), service))
    target = public_keys_file(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    document = json.dumps({"keys": entries}).encode()
    if not target.exists() or target.read_bytes() != document:
        _write(target, document, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
        stream.write(content)
    part.replace(path)
