"""What a service loads: each library costs every process memory, and time at its start.

A library that is not here may be loaded; one that is was found to be large and of no use to a running service.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from makegood_stack.ports import SERVICES

UNUSED = {
    "alembic": "only migrations need it, and they run in a process of their own",
    "mako": "Alembic's",
    "sqlalchemy.orm": "Alembic's; services use Core",
    "sqlalchemy.ext.asyncio": "only migrations use engines",
    "rich": "colours for terminals; structlog and httpx load it if they find it",
    "pygments": "the same",
    "opentelemetry.sdk": "loaded with OTLP_ENDPOINT alone",
    "psutil": "OpenTelemetry's",
    "hypothesis": "for tests",
    "pytest": "for tests",
}
_LIST = "import sys, makegood_{0}.__main__; print(*sys.modules)"


@pytest.mark.parametrize("service", SERVICES)
def test_services_load_nothing_that_they_do_not_use(service: str) -> None:
    command = [sys.executable, "-c", _LIST.format(service)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "sqlalchemy.sql" in loaded
    assert not UNUSED.keys() & set(loaded)
