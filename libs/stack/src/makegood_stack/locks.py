"""One command at a time changes the stack. The kernel frees the lock with its holder, so a stale file is harmless."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from makegood_devtools.errors import UserError


@contextmanager
def exclusive(path: Path, doing: str, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock file for the block. If another command holds it, waits or raises UserError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another command"
            raise UserError(f"another makegood command is running here ({holder}). Wait for it, or stop it") from None
        os.ftruncate(handle, 0)
        os.write(handle, f"makegood {doing}, pid {os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
