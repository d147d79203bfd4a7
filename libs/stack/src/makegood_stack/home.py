"""Where the platform keeps its files: `.makegood/` in the project's root, and a per-user cache of downloads."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from makegood_devtools.errors import UserError


def find_root() -> Path:
    """The project's root: the checkout that this package is installed from, or else the current one."""
    for start in (Path(__file__).resolve(), Path.cwd() / "x"):
        for folder in start.parents:
            if (folder / "requirements.lock").is_file() and (folder / "services").is_dir():
                return folder
    configured = os.environ.get("MAKEGOOD_HOME")
    if configured:
        return Path(configured).resolve()
    raise UserError("cannot find the project. Run the command inside the checkout, or set MAKEGOOD_HOME to its folder")


def user_cache() -> Path:
    """The per-user cache of downloads: MAKEGOOD_CACHE, else XDG_CACHE_HOME/makegood, else ~/.cache/makegood."""
    configured = os.environ.get("MAKEGOOD_CACHE")
    if configured:
        return Path(configured).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "makegood"


@dataclass(frozen=True)
class Home:
    """The folders of an installation: `root` has the code, `state` (`.makegood/`) everything else."""

    root: Path
    state: Path

    @classmethod
    def find(cls) -> Home:
        """The installation of this checkout. Its files are in MAKEGOOD_HOME if that is set."""
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
        """Creates the folders. Raises UserError if they are not writable."""
        try:
            for folder in (self.state, self.cache, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write {self.state}: {error.strerror}. Set MAKEGOOD_HOME to a writable folder"
            ) from error

    def postgres_folder(self) -> Path:
        """PostgreSQL's folder. If root starts it, it runs as another user, who must have access.

        If the checkout is in a folder that only root may enter, the folder is in /var/tmp and named after the checkout.
        """
        inside = self.state / "postgresql"
        if os.geteuid() != 0 or reachable_by_others(self.state):
            return inside
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:12]
        base = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - see below  # nosec B108
        folder = base / f"makegood-{digest}"
        folder.mkdir(mode=0o755, exist_ok=True)
        status = folder.lstat()
        # In a world-writable place, the folder must be real and belong to us.
        if folder.is_symlink() or status.st_uid != os.geteuid():
            raise UserError(f"{folder} belongs to another user. Remove it, or set MAKEGOOD_HOME to another folder")
        return folder / "postgresql"


def reachable_by_others(folder: Path) -> bool:
    """Whether all users may enter `folder` (execute permission for others on it and all its parents)."""
    return all(p.stat().st_mode & 0o001 for p in (folder, *folder.parents) if p.exists())
