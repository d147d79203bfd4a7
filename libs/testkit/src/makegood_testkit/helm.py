"""Helm, for tests of charts: where the program is, and what a chart renders to."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

PROGRAM: Final = os.environ.get("HELM") or shutil.which("helm")
MISSING: Final = (
    "Helm is not installed. Install it (https://helm.sh/docs/intro/install), or name the program in the variable HELM."
)
KUBERNETES: Final = "1.31.0"
"""What the cluster is said to be: the oldest that is supported by its makers."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Helm without any cluster and configuration of the caller. Raises AssertionError if it is not installed."""
    assert PROGRAM is not None, MISSING
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HELM_PLUGINS": os.devnull}
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(  # noqa: S603 - the tests' own arguments
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def template(chart: Path, *values: Path, sets: tuple[str, ...] = ()) -> str:
    """What the chart renders to as release `makegood` in the namespace `makegood`. Raises ValueError with Helm's message."""
    given = [part for each in values for part in ("--values", each)] + [
        part for each in sets for part in ("--set", each)
    ]
    done = run("template", "makegood", chart, "--namespace", "makegood", "--kube-version", KUBERNETES, *given)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout
