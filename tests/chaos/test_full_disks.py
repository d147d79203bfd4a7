"""The disk of the broker or of PostgreSQL is full for a while. Nothing that was accepted is lost (REL-9)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import asyncpg
import pytest
from makegood_stack import kafka, postgres
from makegood_stack.embedded import run_apart
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.suffering import Traffic, lost, suffer

MIB = 1 << 20
SIZES = {kafka.NAME: 192 * MIB, postgres.NAME: 640 * MIB}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes at this folder. Skips the test where none can be mounted."""
    folder.mkdir(parents=True)
    command = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "makegood-test", str(folder))
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder: Path) -> None:
    """Takes all the room that is left."""
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        for size in (MIB, 4096):
            with suppress(OSError):
                while True:
                    filler.write(b"\0" * size)


async def use_up_log(url: str) -> None:
    """Goes through the log files that PostgreSQL has, until it needs a new one."""
    with suppress(asyncpg.PostgresError, OSError):
        connection = await asyncpg.connect(url)
        for _ in range(40):
            await connection.execute("CREATE TABLE IF NOT EXISTS filler (); DROP TABLE filler")
            await connection.execute("SELECT pg_switch_wal()")


@pytest.mark.extended
@pytest.mark.rule("REL-9")
@pytest.mark.parametrize("server", sorted(SIZES))
async def test_a_full_disk_loses_nothing(server: str) -> None:
    with temporary_folder() as folder:
        disk = folder / ".makegood" / server
        with small_disk(disk, SIZES[server]):
            platform = Platform.at(folder)
            async with platform.running():
                traffic = await Traffic.prepare(platform)

                def begin() -> None:
                    fill(disk)
                    if server == postgres.NAME:
                        run_apart(use_up_log(postgres.admin_url(platform.stack.ports.of(server))))

                def heal() -> None:
                    (disk / "filler").unlink()
                    platform.up()  # a server that found no room may have ended itself

                outcome = await suffer(platform, traffic, begin, heal, seconds=12, recovery=40)
                told = json.dumps(asdict(outcome), indent=1)
                assert outcome.unclear == [], told
                assert outcome.dead == [], told
                assert None not in (*outcome.ready_again.values(), *outcome.served_again.values()), told
                if server == kafka.NAME:  # which ends
                    assert any(outcome.not_ready.values()), told
                else:  # which still answers what needs no room
                    assert any(503 in counts for counts in outcome.answers.values()), told
                assert "No space left" in platform.home.log(server).read_text(errors="replace")
                assert await lost(platform, traffic) == []
