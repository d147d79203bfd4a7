"""What a backup says about itself: versions, checksums, and how far the topics went. Its presence means that it is complete."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from makegood_devtools.errors import UserError

from makegood_stack.ports import SERVICES

NAME: Final = "manifest.json"
FORMAT: Final = 1
Offsets = dict[str, dict[int, int]]
"""Topic, without the stack's prefix, → partition → offset."""


class File(msgspec.Struct, frozen=True):
    """A file of the backup. `name` is its path below the backup's folder."""

    name: str
    bytes: int
    sha256: str


class DatabaseNote(msgspec.Struct, frozen=True, kw_only=True):
    """One service's database at the cut."""

    revision: str
    """Alembic's revision of its tables."""
    server: str
    """PostgreSQL's version."""
    system: str
    """The identifier of PostgreSQL's cluster; empty if the login may not read it."""
    noted_at: datetime
    """By this server's clock."""
    lsn: str
    """The place in that cluster's write-ahead log: the target of a point-in-time recovery to this cut."""
    outbox: int
    """Events that were not yet sent."""
    data: File | None = None
    """The dump; None if only positions were noted."""
    keys: File | None = None
    """The dump of `personal_keys`, which can be kept elsewhere."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A backup. All databases and offsets are of one moment in which nothing was committed (the cut)."""

    product: Literal["makegood"] = "makegood"
    format: int = FORMAT
    id: str
    taken_at: datetime
    prefix: str
    """The prefix of topics and groups."""
    paused_ms: int
    """For how long commits waited, in milliseconds."""
    databases: dict[str, DatabaseNote]
    ends: Offsets
    """The next offset of each partition. Whatever stands before it was committed before the cut."""
    groups: dict[str, Offsets]
    """By service: from where its consumers go on. A partition that they had not read is missing."""

    @property
    def has_data(self) -> bool:
        return all(note.data is not None for note in self.databases.values())

    @property
    def files(self) -> list[File]:
        return [file for note in self.databases.values() for file in (note.data, note.keys) if file is not None]


def digest(path: Path) -> File:
    """The file with its size and SHA-256. Raises OSError."""
    with path.open("rb") as stream:
        return File(path.name, path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def write(manifest: Manifest, folder: Path) -> None:
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def read(folder: Path) -> Manifest:
    """The manifest of a complete backup. Raises UserError for anything else, and for a backup of a newer release."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{folder} is not a complete backup: {NAME} cannot be read ({error.strerror})") from error
    try:
        head = msgspec.json.decode(content)
        if head["product"] != "makegood":
            raise UserError(f"{folder} is a backup of {head['product']}, not of Makegood")
        if int(head["format"]) > FORMAT:
            raise UserError(f"{folder} was made by a newer release. Restore it with that release")
        manifest = msgspec.json.decode(content, type=Manifest)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if set(manifest.databases) != set(SERVICES):
        raise UserError(f"{path} is damaged: it must name {', '.join(SERVICES)}")
    return manifest


def check_files(manifest: Manifest, folder: Path, keys: Path) -> None:
    """Raises UserError for a file that is missing or differs from the manifest. `keys`: where the dumps of keys are."""
    for note in manifest.databases.values():
        for place, file in ((folder, note.data), (keys, note.keys)):
            if file is None:
                continue
            path = place / file.name
            try:
                found = digest(path)
            except OSError as error:
                raise UserError(f"the backup is incomplete: {path} cannot be read ({error.strerror})") from error
            if found != file:
                raise UserError(f"the backup is damaged: {path} is not the file that was written. Use another backup")


def known_revisions(root: Path, service: str) -> set[str]:
    """The revisions of a service's tables that this release can bring up to date."""
    return {path.name.split("_")[0] for path in (root / "services" / service / "migrations" / "versions").glob("*.py")}


def check_release(manifest: Manifest, root: Path) -> None:
    """Raises UserError if a newer release made the backup."""
    for service, note in manifest.databases.items():
        if note.revision not in known_revisions(root, service):
            raise UserError(
                f"the backup's tables of {service} have revision {note.revision}, which this release does not know. "
                "Restore it with the release that made it, or a later one"
            )
