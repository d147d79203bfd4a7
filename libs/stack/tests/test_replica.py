"""A read replica by streaming replication, as docs/how-to/scaling.md describes it: it follows, and it refuses to be written to."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import asyncpg
import pytest
from makegood_stack import postgres
from makegood_stack.embedded import EmbeddedServers, Server
from makegood_testkit.waiting import eventually

pytestmark = pytest.mark.slow
PRIMARY = {"wal_level": "replica", "max_wal_senders": "4", "max_replication_slots": "4"}


async def _base_backup(primary: Server, to: Path) -> None:
    """What `pg_basebackup` does, which the embedded PostgreSQL does not bring."""
    admin = await asyncpg.connect(primary.url)
    source = Path(await admin.fetchval("SHOW data_directory"))
    try:
        await admin.execute("SELECT pg_backup_start('replica', true)")
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("postmaster.*", "pg_replslot"))
        label = await admin.fetchrow("SELECT labelfile, spcmapfile FROM pg_backup_stop(false)")
    finally:
        await admin.close()
    assert label is not None
    _complete(to, label["labelfile"])


def _complete(copy: Path, label: str) -> None:
    (copy / "pg_replslot").mkdir()
    (copy / "backup_label").write_text(label)
    (copy / "standby.signal").touch()
    copy.chmod(0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (copy, *copy.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)


async def test_a_replica_follows_the_primary_and_takes_no_writes() -> None:
    with EmbeddedServers() as servers:
        primary = servers.postgres(PRIMARY)
        admin = await asyncpg.connect(primary.url)
        await admin.execute("SELECT pg_create_physical_replication_slot('replica')")
        await admin.execute("CREATE TABLE sessions AS SELECT 1 AS id")
        link = f"host=127.0.0.1 port={primary.port} user={postgres.SUPERUSER} password={postgres.PASSWORD}"

        replica = await _replica(servers, primary, link)
        reader = await asyncpg.connect(replica.url)
        assert await reader.fetchval("SELECT pg_is_in_recovery()")
        assert await reader.fetchval("SELECT count(*) FROM sessions") == 1
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.execute("INSERT INTO sessions VALUES (2)")

        await admin.execute("INSERT INTO sessions VALUES (2)")

        async def has_followed() -> bool:
            return bool(await reader.fetchval("SELECT count(*) FROM sessions") == 2)

        await eventually(has_followed, what="the replica to follow")
        lag = await admin.fetchrow(
            "SELECT state, pg_wal_lsn_diff(sent_lsn, replay_lsn) AS bytes FROM pg_stat_replication"
        )
        assert lag is not None
        assert lag["state"] == "streaming"
        await reader.close()
        await admin.close()


async def _replica(servers: EmbeddedServers, primary: Server, link: str) -> Server:
    """A second server on a copy of the first one's data. `servers` stops it."""
    replica = servers.postgres(
        {**PRIMARY, "primary_conninfo": link, "primary_slot_name": "replica", "hot_standby": "on"}
    )
    replica.stop()
    data = Path(next(word for word in replica.spec().command if word.endswith("/data")))
    shutil.rmtree(data)
    await _base_backup(primary, data)
    replica.start()
    return replica
