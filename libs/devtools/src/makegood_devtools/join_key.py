"""The key that signs an installation's join links, in a folder that only booking gets."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def join_key_file(folder: Path) -> Path:
    return folder / "key"


def make_join_key(folder: Path) -> None:
    """Makes the key if it is missing, readable only by its owner."""
    path = join_key_file(folder)
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(f".{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(secrets.token_urlsafe(32))
    part.replace(path)
