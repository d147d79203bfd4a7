"""Ports that a process has chosen and that its servers do not listen on yet: no other process of this user chooses them.

A claim is a lock on one byte of a file, at the port's number. The kernel frees it with the process.
"""

from __future__ import annotations

import fcntl
import functools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

_OURS: set[int] = set()
"""The ports that this process has claimed."""


def claim(ports: Iterable[int]) -> bool:
    """Claims all ports until this process ends, or none if another process has claimed one of them.

    A process may claim its own ports again.
    """
    new: list[int] = []
    for port in set(ports) - _OURS:
        try:
            fcntl.lockf(_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            for other in new:
                fcntl.lockf(_file(), fcntl.LOCK_UN, 1, other)
            return False
        new.append(port)
    _OURS.update(new)
    return True


@functools.cache
def _file() -> int:
    # It stays open: closing any descriptor of a file frees the process's locks on it.
    path = Path(tempfile.gettempdir()) / f"makegood-ports-{os.geteuid()}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
