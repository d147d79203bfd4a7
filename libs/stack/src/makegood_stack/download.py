"""Downloads files from package repositories, with progress, resumption and verification.

A file with its final name has been verified against the lock. Unfinished files end in `.part`; the next run resumes or
deletes them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
from jgo.maven import MavenContext
from makegood_devtools.errors import UserError

from makegood_stack.locks import exclusive

_CHUNK = 1 << 16
_ATTEMPTS = 4
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Artifact:
    """A file in the lock. `size` is in bytes. `coordinate`: `group:artifact:version`, or with `:classifier:packaging`."""

    coordinate: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        _, artifact, version, *more = self.coordinate.split(":")
        classifier, packaging = more or ("", "jar")
        return f"{artifact}-{version}{classifier and f'-{classifier}'}.{packaging}"

    def url_paths(self) -> list[str]:
        """The URLs to try, in the order of jgo's repositories (by default Maven Central)."""
        group, artifact, version, *_ = self.coordinate.split(":")
        path = "/".join((*group.split("."), artifact, version, self.name))
        return [f"{base}/{path}" for base in MavenContext().remote_repos.values()]


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_good(path: Path, artifact: Artifact) -> bool:
    """Whether `path` is the file in the lock, by size and hash."""
    try:
        return path.stat().st_size == artifact.size and digest(path) == artifact.sha256
    except FileNotFoundError:
        return False


def fetch_all(artifacts: Iterable[Artifact], folder: Path, shared: Path, advance: Advance) -> list[Path]:
    """Puts all artifacts in `folder`, through the per-user cache `shared`, and returns their paths in order.

    `advance` is called with the number of bytes received. Raises UserError if there is no network, the disk is full, or a
    file is wrong even after a second download. The shared cache is locked, so that two checkouts do not download at once.
    """
    wanted = list(artifacts)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [a for a in wanted if not _trusted(folder / a.name, a)]
    if missing:
        try:
            shared.mkdir(parents=True, exist_ok=True)
            writable = os.access(shared, os.W_OK)
        except OSError:
            writable = False
        store = shared if writable else folder
        try:
            with exclusive(store / ".lock", "downloading", wait=True):
                _fetch(missing, store, folder, advance)
        except OSError as error:
            raise disk_error(error, store) from error
    present = {a.name for a in missing}
    advance(sum(a.size for a in wanted if a.name not in present))
    return [folder / a.name for a in wanted]


def _fetch(missing: list[Artifact], store: Path, folder: Path, advance: Advance) -> None:
    stop = threading.Event()

    def one(artifact: Artifact) -> None:
        if stop.is_set():
            return
        source = store / artifact.name
        if is_good(source, artifact):
            advance(artifact.size)
        else:
            download(artifact, source, advance, stop)
        if store != folder:
            _place(source, folder / artifact.name)
        _trust(folder / artifact.name)

    # The largest first: with few connections, it decides how long everything takes.
    ordered = sorted(missing, key=lambda a: -a.size)
    with ThreadPoolExecutor(max_workers=6) as pool:
        try:
            for _ in pool.map(one, ordered):
                pass
        except BaseException:
            stop.set()
            raise


def download(artifact: Artifact, target: Path, advance: Advance, stop: threading.Event) -> None:
    """Fetches one file to `target`: continues a `.part`, verifies size and SHA-256, then renames."""
    part = target.with_name(target.name + ".part")
    urls = artifact.url_paths()
    reason = "no repository is configured"
    for attempt in range(_ATTEMPTS):
        if stop.is_set():
            return
        done = part.stat().st_size if part.exists() else 0
        if done > artifact.size:
            part.unlink()
            done = 0
        counted = 0
        try:
            if done < artifact.size:
                counted = _stream(urls[attempt % len(urls)], part, done, advance, stop)
            if stop.is_set():
                return
            if is_good(part, artifact):
                part.replace(target)
                advance(artifact.size - counted)
                return
            reason = "its content is not what the lock names"
            part.unlink(missing_ok=True)
        except requests.RequestException as error:
            reason = str(error)
        advance(-counted)
    raise UserError(
        f"cannot download {artifact.coordinate}: {reason}\n"
        f"Check the network and run the command again. Complete files are kept in {target.parent}"
    )


def _stream(url: str, part: Path, done: int, advance: Advance, stop: threading.Event) -> int:
    """Downloads the rest of the `.part` file. Returns how many bytes it reported to `advance`."""
    headers = {"Range": f"bytes={done}-"} if done else {}
    counted = 0
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as response:
        if response.status_code == requests.codes.range_not_satisfiable:
            part.unlink(missing_ok=True)
            response.raise_for_status()
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in response.iter_content(_CHUNK):
                if stop.is_set():
                    break
                stream.write(chunk)
                counted += len(chunk)
                advance(len(chunk))
    return counted


def _place(source: Path, target: Path) -> None:
    """Puts the cached file at `target` atomically, as a reflink if the file system supports it."""
    fresh = target.with_name(target.name + ".part")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source, fresh)
    except OSError:
        shutil.copyfile(source, fresh)
    fresh.replace(target)


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _trust(path: Path) -> None:
    status = path.stat()
    _stamp(path).write_text(f"{status.st_size} {status.st_mtime_ns}")


def _trusted(path: Path, artifact: Artifact) -> bool:
    """Whether the file was verified and has not been touched since; a touched one is verified again."""
    try:
        status = path.stat()
        if _stamp(path).read_text() == f"{artifact.size} {status.st_mtime_ns}" and status.st_size == artifact.size:
            return True
    except FileNotFoundError:
        pass
    if is_good(path, artifact):
        _trust(path)
        return True
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return False


def disk_error(error: OSError, place: Path) -> UserError:
    """The message for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"the disk is full at {place}. Free some space and run the command again; nothing is broken")
    return UserError(f"cannot write {error.filename or place}: {error.strerror}")
