"""Where the platform keeps its files: `.makegood/` in the project's root, and a per-user cache of downloads."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from makegood_devtools.errors import UserError


def find_root() -> Path:
    """The project's code: the checkout that this package is installed from, else the one that one stands in."""
    for start in (Path(__file__).resolve(), Path.cwd() / "x"):
        for folder in start.parents:
            if (folder / "requirements.lock").is_file() and (folder / "services").is_dir():
                return folder
    configured = os.environ.get("MAKEGOOD_HOME")
    if configured:
        return Path(configured).resolve()
    raise UserError("cannot find the project: run inside the checkout, or set MAKEGOOD_HOME to its folder")


def user_cache() -> Path:
    """The per-user cache of downloads: MAKEGOOD_CACHE, else XDG_CACHE_HOME/makegood, else ~/.cache/makegood."""
    configured = os.environ.get("MAKEGOOD_CACHE")
    if configured:
        return Path(configured).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "makegood"


@dataclass(frozen=True)
class Home:
    """The folders of one installation. `root` holds the code; `state` (`.makegood/`) everything that is made."""

    root: Path
    state: Path

    @classmethod
    def find(cls) -> Home:
        """The installation of this checkout; its files go to MAKEGOOD_HOME instead if that is set."""
        root = find_root()
        place = os.environ.get("MAKEGOOD_HOME")
        return cls(root=root, state=(Path(place).resolve() if place else root) / ".makegood")

    @property
    def cache(self) -> Path:
        return self.state / "cache"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def identity(self) -> Path:
        return self.state / "identity"

    @property
    def join_links(self) -> Path:
        return self.state / "join-links"

    @property
    def data_keys(self) -> Path:
        """The file with the master keys of this installation's personal data."""
        return self.state / "data-keys"

    @property
    def event_keys(self) -> Path:
        return self.state / "event-keys"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def make(self) -> None:
        """Makes the folders. Raises UserError when the place cannot be written."""
        try:
            for folder in (self.state, self.cache, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write {self.state}: {error.strerror}; set MAKEGOOD_HOME to a writable folder"
            ) from error

    def postgres_folder(self) -> Path:
        """The folder of PostgreSQL. Started by root it runs as another user, who must be able to reach it.

        A checkout below a folder that only root may enter (0700) is no such place: then it is a folder under /var/tmp,
        named after the checkout so that it is found again.
        """
        inside = self.state / "postgresql"
        if os.geteuid() != 0 or reachable_by_others(self.state):
            return inside
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:12]
        base = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - see below  # nosec B108
        folder = base / f"makegood-{digest}"
        folder.mkdir(mode=0o755, exist_ok=True)
        status = folder.lstat()
        # A folder in a place open to everybody must be a real one and our own.
        if folder.is_symlink() or status.st_uid != os.geteuid():
            raise UserError(f"{folder} belongs to somebody else: remove it, or set MAKEGOOD_HOME to another folder")
        return folder / "postgresql"


def reachable_by_others(folder: Path) -> bool:
    """Whether every user may enter `folder` (the execute bit for others, on it and on all above it)."""
    return all(p.stat().st_mode & 0o001 for p in (folder, *folder.parents) if p.exists())
