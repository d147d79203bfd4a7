"""The same story against the platform in containers: `docker compose up`, then the demo. Needs an engine that answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from makegood_stack import compose
from makegood_stack.home import Home, find_root
from makegood_testkit.platform import free_offset
from makegood_testkit.servers import Mode


@pytest.fixture
def containers(server_mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port offset for containers of a project of their own, which go with their data afterwards."""
    if server_mode != "containers":
        pytest.skip("no container engine answers")
    offset = free_offset()
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", f"makegood-test-{os.getpid()}")
    monkeypatch.setenv("MAKEGOOD_HOME", str(tmp_path))
    yield offset
    compose.down(Home(root=find_root(), state=tmp_path / ".makegood"), offset, volumes=True)


@pytest.mark.extended
def test_the_story_is_the_same_in_containers(containers: int) -> None:
    command = [
        sys.executable,
        "-m",
        "makegood_cli.main",
        "demo",
        "--stack",
        "compose",
        "--port-offset",
        str(containers),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    for fact in ("SessionReserved", "SessionConfirmed", "ProviderMissed", "CreditReturned", "SlotReleased"):
        assert fact in told.stdout
    assert "provider_missed, credit returned" in told.stdout
    audit = subprocess.run(
        [sys.executable, "-m", "makegood_cli.main", "audit", "--port-offset", str(containers)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr
    # The same from the image, which finds the servers by its settings.
    for words, says in ((["audit"], "no violations"), (["status"], "booking on ")):
        run = ["docker", "compose", "run", "--rm", "-T", "cli", *words]
        done = subprocess.run(run, cwd=find_root(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert says in done.stdout
