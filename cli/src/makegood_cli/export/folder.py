"""The folder of an export: who writes to it, in which format, and small files that change all at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, get_args

from makegood_devtools.errors import UserError

Format = Literal["parquet", "duckdb", "iceberg"]
FORMATS: Final = get_args(Format)
_OWN: Final = "_makegood"


class ExportFolder:
    """`state`: the subfolder for what is not a table. Readers of tables need nothing of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / _OWN
        self.quarantine = path / "quarantine"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process writes at a time. The lock ends with its process. Raises UserError if another has it."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"another process exports to {self.path}. Stop it first, or use another folder"
                ) from None
            yield

    @property
    def format(self) -> Format | None:
        """The format of what is exported already; None for a new folder."""
        found: Format | None = self.read("export.json", {}).get("format")
        return found

    def begin(self, wanted: Format | None) -> Format:
        """Fixes the format of a new folder (`parquet` if none is wanted). Raises UserError if it has another one."""
        had = self.format
        if had is not None and wanted not in (None, had):
            raise UserError(f"{self.path} holds an export to {had}. Use another folder for {wanted}", exit_code=2)
        chosen = had or wanted or "parquet"
        if had is None:
            if any(each.name != _OWN for each in self.path.iterdir()):
                raise UserError(f"{self.path} is not empty and holds no export. Use a new folder", exit_code=2)
            self.write("export.json", {"format": chosen})
        return chosen

    def read(self, name: str, default: Any) -> Any:
        try:
            return json.loads((self.state / name).read_bytes())
        except FileNotFoundError:
            return default

    def write(self, name: str, content: Any) -> None:
        """Replaces a file of the state. After a crash at any moment, it has its old content or the new one."""
        replace_file(self.state / name, json.dumps(content).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file all at once, through a second one that gets its name."""
    fresh = path.with_name(f".{path.name}.part")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes new names in a folder survive a power failure."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
