"""Where the dashboards' and alerts' code is, and whether Prometheus is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from makegood_testkit import prometheus

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "observability"))


@pytest.fixture(scope="session")
def prometheus_installed() -> None:
    """Skips the test without Prometheus. In CI, it fails."""
    if prometheus.installed():
        return
    if os.environ.get("CI"):
        pytest.fail(prometheus.MISSING)
    pytest.skip(prometheus.MISSING)
