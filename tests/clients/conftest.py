"""Node.js with the packages of `package.json`, Java with the generator, and Chromium, each made ready once."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from makegood_stack.download import Artifact, fetch_all
from makegood_stack.home import user_cache
from makegood_stack.locks import exclusive
from makegood_testkit.python_tools import programs_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLACE = ROOT / ".makegood" / "clients"
sys.path[:0] = [str(ROOT / "tests" / "gateway"), str(ROOT / "deploy" / "gateway")]


def program(*names: str, wanted: str) -> str:
    """The path of a program. Without it the test is skipped with advice; in CI it fails."""
    for name in names:
        if found := shutil.which(name):
            return found
    advice = f"{wanted} is needed and was not found: install it (Debian: apt-get install {names[0]})"
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


def run(*command: str | Path, cwd: Path | None = None, stdin: str | None = None) -> str:
    """What a command prints; a failed test with all of it where the command fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder in which `node_modules` stands, as the lock says."""
    program("node", "nodejs", wanted="Node.js 20.19 or newer")
    npm = program("npm", wanted="npm")
    PLACE.mkdir(parents=True, exist_ok=True)
    with exclusive(PLACE / ".lock", "installing packages for Node.js", wait=True):
        lock, done = HERE / "package-lock.json", PLACE / "node_modules" / ".installed.json"
        if not (done.is_file() and filecmp.cmp(lock, done, shallow=False)):
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copyfile(HERE / name, PLACE / name)
            run(npm, "ci", "--no-progress", cwd=PLACE)
            shutil.copyfile(lock, done)
    return PLACE


@pytest.fixture(scope="session")
def python_tools() -> Path:
    """The folder of the programs in `requirements.lock`, in an environment of their own."""
    return programs_of(HERE / "requirements.lock", PLACE / "python")


@pytest.fixture(scope="session")
def jars() -> list[Path]:
    """The generator for Java, and behind it what its clients need, as `java.lock.json` says."""
    wanted = [Artifact(**entry) for entry in json.loads((HERE / "java.lock.json").read_text())]
    return fetch_all(wanted, PLACE / "jars", user_cache(), lambda _: None)


@pytest.fixture(scope="session")
def chromium() -> str:
    return program("chromium", "chromium-browser", "google-chrome", wanted="Chromium")
