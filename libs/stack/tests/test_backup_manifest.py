"""Which backups are refused before anything is touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from makegood_contracts.ids import new_id
from makegood_devtools.errors import UserError
from makegood_stack.backup import manifest
from makegood_stack.backup.manifest import DatabaseNote, File, Manifest
from makegood_stack.home import find_root
from makegood_stack.ports import SERVICES


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup with one small file per dump."""
    (tmp_path / "keys").mkdir()
    notes = {}
    for service in SERVICES:
        data, keys = tmp_path / f"{service}.dump", tmp_path / "keys" / f"{service}.keys.dump"
        data.write_bytes(f"data of {service}".encode())
        keys.write_bytes(f"keys of {service}".encode())
        newest = max(manifest.known_revisions(find_root(), service))
        notes[service] = DatabaseNote(
            revision=newest, server="17.6", system="", noted_at=datetime.now(UTC), lsn="0/0", outbox=0,
            data=manifest.digest(data), keys=manifest.digest(keys),
        )  # fmt: skip
    made = Manifest(
        id=new_id(), taken_at=datetime.now(UTC), prefix="", paused_ms=5, databases=notes,
        ends={"booking.sessions.v1": {0: 7}}, groups={"credits": {"booking.sessions.v1": {0: 5}}},
    )  # fmt: skip
    manifest.write(made, tmp_path)
    return tmp_path


def _changed(folder: Path, **changes: Any) -> None:
    path = folder / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_complete_backup_is_accepted(backup: Path) -> None:
    made = manifest.read(backup)
    manifest.check_files(made, backup, backup / "keys")
    manifest.check_release(made, find_root())
    assert made.has_data
    assert made.ends == {"booking.sessions.v1": {0: 7}}


@pytest.mark.parametrize("kind", ["data", "keys"])
@pytest.mark.parametrize("fault", ["one byte differs", "shorter", "missing"])
def test_a_damaged_file_is_refused(backup: Path, kind: str, fault: str) -> None:
    path = backup / "credits.dump" if kind == "data" else backup / "keys" / "credits.keys.dump"
    content = path.read_bytes()
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"!" if fault == "one byte differs" else b""))
    with pytest.raises(UserError, match="incomplete" if fault == "missing" else "damaged"):
        manifest.check_files(manifest.read(backup), backup, backup / "keys")


def test_a_folder_without_manifest_is_no_backup(backup: Path) -> None:
    (backup / manifest.NAME).unlink()
    with pytest.raises(UserError, match="not a complete backup"):
        manifest.read(backup)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"product": "another"}, "not of Makegood"),
        ({"format": manifest.FORMAT + 1}, "newer release"),
        ({"databases": {}}, "must name"),
        ({"ends": "none"}, "damaged"),
    ],
)
def test_a_foreign_newer_or_mangled_manifest_is_refused(backup: Path, changes: dict[str, Any], why: str) -> None:
    _changed(backup, **changes)
    with pytest.raises(UserError, match=why):
        manifest.read(backup)


def test_tables_of_a_newer_release_are_refused(backup: Path) -> None:
    databases = json.loads((backup / manifest.NAME).read_text())["databases"]
    databases["credits"]["revision"] = "9999"
    _changed(backup, databases=databases)
    with pytest.raises(UserError, match="does not know"):
        manifest.check_release(manifest.read(backup), find_root())


def test_positions_alone_have_no_data(backup: Path) -> None:
    databases = json.loads((backup / manifest.NAME).read_text())["databases"]
    for note in databases.values():
        note["data"] = note["keys"] = None
    _changed(backup, databases=databases)
    made = manifest.read(backup)
    assert not made.has_data
    assert made.files == []


def test_a_file_is_named_with_its_size_and_checksum(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.digest(tmp_path / "x") == File("x", 3, digest)
