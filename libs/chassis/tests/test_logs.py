"""Logs that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_WRITES = """
import logging, os
import structlog
from makegood_chassis.observe import configure_logs

configure_logs("booking")
for number in range(300):
    structlog.get_logger().warning("dependency unavailable", number=number, padding="x" * 100)
    logging.getLogger("asyncpg").warning("lost %s", "canary")
os._exit(0)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_under_the_log_fails_nobody_who_logs() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", _WRITES], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
