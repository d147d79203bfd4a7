"""A recovery of PostgreSQL to a noted cut, with its archived log, as docs/run-books/restore.md says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from makegood_stack import postgres
from makegood_stack.backup.programs import program
from makegood_stack.embedded import EmbeddedServers, Server
from makegood_stack.ports import SERVICES
from makegood_stack.processes import Supervisor
from makegood_testkit.chaos import drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import eventually


@pytest_asyncio.fixture
async def archived() -> AsyncIterator[tuple[Server, Path]]:
    """A PostgreSQL server that archives its log, and the folder of the archive."""
    with temporary_folder() as folder, EmbeddedServers() as servers:
        folder.chmod(0o755)
        archive = folder / "archive"
        archive.mkdir(mode=0o777)
        archive.chmod(0o777)
        server = servers.postgres(
            {
                "wal_level": "replica",
                "max_wal_senders": "4",
                "archive_mode": "on",
                "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f.part && mv {archive}/%f.part {archive}/%f",
            }
        )
        await postgres.make_databases(server.port)
        yield server, archive


@pytest.mark.extended
async def test_a_recovery_to_a_cut_fits_the_topics(archived: tuple[Server, Path], tmp_path: Path) -> None:
    server, archive = archived
    settings = {
        f"{service.upper()}_{job.upper() + '_' if job else ''}DATABASE_URL": postgres.service_url(
            server.port, service, job
        )
        for service in SERVICES
        for job in ("", *postgres.JOBS)
    }
    platform, cut, base = Platform.at(tmp_path, settings), tmp_path / "cut", archive.parent / "base"
    async with platform.running():
        await asyncio.to_thread(_base_backup, server, base, tmp_path / "pgpass", *await _programs())
        cast = await platform.cast()
        kept = await cast.confirmed()
        await drained(platform)
        result = platform.command("backup", str(cut), "--positions-only")
        assert result.returncode == 0, result.stderr
        lost = await cast.book(timedelta(days=6))
        await drained(platform)

        supervisor = Supervisor(platform.home)
        supervisor.stop([record for name, record in supervisor.running().items() if name in ("gateway", *SERVICES)])
        server.stop()  # it archives what it has
        manifest = json.loads((cut / "manifest.json").read_text())
        target = max((note["lsn"] for note in manifest["databases"].values()), key=_place)
        await asyncio.to_thread(_replace_data, server, base, archive, target)
        server.start()
        await eventually(lambda: _promoted(server), seconds=60)

        found = await asyncio.to_thread(platform.audit)
        assert any(lost["id"] in violation for violation in found), found
        report = tmp_path / "report.json"
        result = platform.command("restore", str(cut), "--step", "reconcile", "--report", str(report))
        assert result.returncode == 0, result.stdout + result.stderr
        told = json.loads(report.read_text())
        assert [session["key"] for session in told["lost_sessions"]] == [lost["id"]]
        assert told["handled_by"] == {}
        await asyncio.to_thread(platform.up)
        await drained(platform)
        assert await asyncio.to_thread(platform.audit) == []
        assert (await cast.session(kept))["status"] == "confirmed"
        await cast.balance(available=3, held=1)


async def _programs() -> tuple[str, str]:
    return await program("pg_basebackup", 17), await program("pg_verifybackup", 17)


def _base_backup(server: Server, base: Path, secret: Path, pg_basebackup: str, pg_verifybackup: str) -> None:
    secret.touch(mode=0o600)
    secret.write_text(f"*:*:*:*:{postgres.PASSWORD}\n")
    login = ("--host=127.0.0.1", f"--port={server.port}", "--username=postgres", "--no-password")
    command = (pg_basebackup, f"--pgdata={base}", "--checkpoint=fast", *login)
    subprocess.run(command, env={**os.environ, "PGPASSFILE": str(secret)}, check=True, capture_output=True)
    subprocess.run((pg_verifybackup, "--no-parse-wal", str(base)), check=True, capture_output=True)


def _replace_data(server: Server, base: Path, archive: Path, target: str) -> None:
    """Puts the base backup in the place of the lost data, and says how far to recover."""
    spec = server.spec()
    data = Path(spec.command[2])
    shutil.rmtree(data)
    shutil.copytree(base, data)
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_lsn = '{target}'\n"
            "recovery_target_inclusive = off\nrecovery_target_action = promote\n"
        )
    (data / "recovery.signal").touch()
    data.chmod(0o700)
    if spec.user is not None and spec.group is not None:
        for path in (data, *data.rglob("*")):
            os.chown(path, spec.user, spec.group)


def _place(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


async def _promoted(server: Server) -> bool:
    import asyncpg

    connection = await asyncpg.connect(server.url, timeout=3)
    try:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")
    finally:
        await connection.close()
