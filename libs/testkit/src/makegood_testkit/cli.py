"""Runs the `makegood` command in tests, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., subprocess.CompletedProcess[str]]
_SERVER_SETTINGS = ("_DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS")


def command_line(home: Path, timeout: float = 180) -> Cli:
    """A function that runs `makegood` with these words. Its files are under `home`, and it uses no external servers.
    Keyword arguments are additional environment variables. Raises subprocess.TimeoutExpired after `timeout` seconds.
    """
    environment = {n: v for n, v in os.environ.items() if not n.endswith(_SERVER_SETTINGS)}
    environment["MAKEGOOD_HOME"] = str(home)

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "makegood_cli.main", *words]
        return subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=False, env=environment | more, timeout=timeout
        )

    return run
