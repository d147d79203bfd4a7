"""Writes the gateway's Envoy configuration: `python deploy/gateway/render.py --out FILE ...` (see README.md)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from makegood_gateway.command import main
from makegood_gateway.config import Endpoint, GatewaySettings, render

__all__ = ["Endpoint", "GatewaySettings", "main", "render"]

if __name__ == "__main__":
    raise SystemExit(main())
