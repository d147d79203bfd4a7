"""Libraries that load others only because these are installed.

While such a library loads, `without` hides from it what no service uses. That saves each process memory and time at its start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Within the block, these modules and those below them seem not to be installed. Loaded ones are left as they are."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # how Python itself marks what cannot be imported
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
