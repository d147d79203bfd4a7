"""Temporary folders in which PostgreSQL can keep its data, whoever starts it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that every user can reach, because PostgreSQL runs as another user if root starts it.

    Without that, its data would be in a folder in /var/tmp, which nobody deletes.
    """
    with tempfile.TemporaryDirectory(prefix="makegood-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
