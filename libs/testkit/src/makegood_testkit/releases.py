"""The release before the present commit, for tests that hold the two against each other."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[4]
_PINNED: Final = ROOT / "tests/operations/previous_release.txt"


def _git(*words: str) -> str | None:
    try:
        command = ["git", "-C", str(ROOT), *words]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    except OSError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def previous_release(folder: Path, *paths: str) -> Path:
    """Unpacks `paths` of the previous release into `folder`: of the newest tag `release-*`, or else of the commit in a file.

    Skips the test where there is no git, or no history.
    """
    pinned = _PINNED.read_text().split()[-1]
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "release-*", "HEAD^")
    commit = _git("rev-parse", "--verify", "--quiet", f"{tag or pinned}^{{commit}}")
    if commit is None:
        pytest.skip(f"the previous release ({tag or pinned}) is not here: needs git and a clone with history")
    archive = folder / "sources.tar"
    assert _git("archive", f"--output={archive}", commit, *paths) is not None
    with tarfile.open(archive) as tar:
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **safely)  # noqa: S202 - git made it  # nosec B202
    archive.unlink()
    return folder
