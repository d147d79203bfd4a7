"""Programs from Python packages that do not fit into our own environment."""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from makegood_stack.locks import exclusive


def programs_of(lock: Path, place: Path) -> Path:
    """The folder of the programs that a lock of requirements names, in an environment of its own. It is made at the first use
    and when the lock has changed. Raises CalledProcessError if it cannot be made.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(place.parent / f".{place.name}.lock", f"installing packages for {place.name}", wait=True):
        done = place / "installed.lock"
        if not (done.is_file() and filecmp.cmp(lock, done, shallow=False)):
            uv = str(Path(sys.executable).with_name("uv"))
            _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
            _run(
                uv, "pip", "install", "--quiet", "--python", f"{place}/bin/python", "--require-hashes", "-r", str(lock)
            )
            shutil.copyfile(lock, done)
    return place / "bin"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=900)  # noqa: S603 - uv of our own environment
