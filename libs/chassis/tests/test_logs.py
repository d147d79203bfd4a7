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


_FORGETS = """
import asyncio, gc
from makegood_chassis.observe import configure_logs

async def fails():
    raise ValueError("postgresql://booking:Gr4ssh0pper@db/makegood")

async def main():
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()

configure_logs("booking")
asyncio.run(main())
"""


def test_an_error_that_nobody_waited_for_is_logged_without_its_text() -> None:
    """asyncio writes the error's own text into its message, on a line of its own."""
    done = subprocess.run([sys.executable, "-c", _FORGETS], capture_output=True, text=True, check=True)
    assert "Task exception was never retrieved" in done.stdout
    assert '"error": "ValueError"' in done.stdout
    assert "Gr4ssh0pper" not in done.stdout + done.stderr
