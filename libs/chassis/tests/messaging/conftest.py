"""Fixtures of the messaging tests; their helpers stand in `messaging_helpers`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from messaging_helpers import database, database_url  # noqa: F401 - fixtures
