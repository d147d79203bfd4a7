"""Writes the dashboards and alerts: `python deploy/observability/generate.py` (see README.md)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from makegood_observability.command import files, main

__all__ = ["files", "main"]

if __name__ == "__main__":
    raise SystemExit(main())
