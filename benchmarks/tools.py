"""Installs what the benchmarks use beside the product: a load generator and the peers, in `.makegood/peers`.

    python benchmarks/tools.py

Everything comes from the package registries of Python, Node.js and Go, in fixed versions; the product's own environment stays
as it is. What cannot be installed is named, with the reason, and the benchmarks leave it out. Takes a few minutes the first
time, because Go compiles Temporal's server.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PLACE = HERE.parent / ".makegood" / "peers"

VEGETA = "github.com/tsenart/vegeta/v12@v12.13.0"
TEMPORAL = ("go.temporal.io/server/cmd/server@v1.31.2", "go.temporal.io/server/cmd/tools/sql@v1.31.2")


class NotInstalled(Exception):
    """A tool could not be installed; the text says why."""


@dataclass(frozen=True)
class Tool:
    """Something to install. `wanted` changes whenever it has to be installed again."""

    name: str
    wanted: str
    install: Callable[[], None]

    def provide(self) -> None:
        """Installs it, unless it is there. Raises NotInstalled."""
        stamp = PLACE / f".{self.name}"
        wanted = hashlib.sha256(self.wanted.encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        PLACE.mkdir(parents=True, exist_ok=True)
        print(f"installing {self.name}", file=sys.stderr)
        self.install()
        stamp.write_text(wanted)


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        raise NotInstalled(f"{words[0]} was not found")
    done = subprocess.run(
        words, cwd=PLACE, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotInstalled(f"{' '.join(words[:3])} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def _python() -> None:
    uv = Path(sys.executable).with_name("uv")
    environment = PLACE / "venv"
    _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    lock = PEERS / "requirements.lock"
    interpreter = environment / "bin" / "python"
    _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter, "--require-hashes", "-r", lock)


def _node() -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(PEERS / name, PLACE / name)
    _run("npm", "ci", "--no-progress", "--ignore-scripts")


def _go(*modules: str) -> Callable[[], None]:
    return lambda: _run("go", "install", *modules, environment={"GOBIN": str(PLACE / "bin"), "GOFLAGS": ""})


def _text(*names: str) -> str:
    return "".join((PEERS / name).read_text() for name in names)


VEGETA_TOOL = Tool("vegeta", VEGETA, _go(VEGETA))
PYTHON_TOOL = Tool("python", _text("requirements.lock") + sys.version, _python)
RESTATE_TOOL = Tool("restate", _text("package-lock.json"), _node)
TEMPORAL_TOOL = Tool("temporal", " ".join(TEMPORAL), _go(*TEMPORAL))

PEER_TOOLS = {"dbos": (), "restate": (RESTATE_TOOL,), "temporal": (TEMPORAL_TOOL,), "plain": ()}
"""The peers, and what each needs beside the Python environment."""


def provide() -> dict[str, str]:
    """Installs what is missing. Returns the peers that have to be left out, and why. Raises NotInstalled without vegeta."""
    VEGETA_TOOL.provide()
    PYTHON_TOOL.provide()
    missing: dict[str, str] = {}
    for peer, tools in PEER_TOOLS.items():
        try:
            for tool in tools:
                tool.provide()
        except NotInstalled as error:
            missing[peer] = str(error)
    return missing


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    missing = provide()
    for peer, reason in missing.items():
        print(f"{peer} is left out: {reason}")
    print(f"ready in {PLACE}")


if __name__ == "__main__":
    main()
