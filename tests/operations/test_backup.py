"""Backups under load, and restores: what the topics know and the databases do not is named, and brought in line."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from makegood_stack.ports import SERVICES
from makegood_stack.processes import Supervisor
from makegood_testkit.chaos import MixedLoad, drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Cast, Platform, address
from makegood_testkit.waiting import eventually

MISSED = "Your provider missed your scheduled session."
GRACE = timedelta(minutes=10)


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Platform]:
    """A platform of its own, whose databases may be destroyed."""
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        async with platform.running():
            yield platform


async def command(platform: Platform, *words: str) -> str:
    """The output of `makegood …`, which must succeed."""
    result = await asyncio.to_thread(platform.command, *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


async def refused(platform: Platform, *words: str) -> str:
    """The message of `makegood …`, which must fail."""
    result = await asyncio.to_thread(platform.command, *words)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stderr


async def interrupted(platform: Platform, folder: Path) -> None:
    """A backup that is killed in the middle leaves nothing that looks like one."""
    environment = {**os.environ, "MAKEGOOD_HOME": str(platform.home.state.parent)}
    command = (sys.executable, "-m", "makegood_cli.main", "backup", str(folder))
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert b"paused" in await process.stdout.readline()
    process.kill()
    await process.wait()
    assert not await asyncio.to_thread(folder.exists)


def stop(platform: Platform, *names: str) -> None:
    supervisor = Supervisor(platform.home)
    supervisor.stop([record for name, record in supervisor.running().items() if name in names])


async def miss(cast: Cast, session: dict[str, Any]) -> None:
    await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + GRACE)
    await cast.settled(session, "provider_missed", "returned")


async def missed_mails(cast: Cast) -> int:
    """How many e-mails about a missed session the member got, in all."""
    query: dict[str, str | int] = {"query": f"to:{address(cast.member)}", "limit": 5000}
    async with httpx.AsyncClient(base_url=cast.platform.stack.mail_url, trust_env=False, timeout=30) as http:
        found = (await http.get("/api/v1/search", params=query)).json()["messages"]
    return sum(mail["Subject"] == MISSED for mail in found)


@pytest.mark.extended
@pytest.mark.rule("REL-1", "NOTE-2", "NOTE-5", "MISS-2")
async def test_what_was_lost_with_the_databases_is_named_and_nobody_is_told_twice(
    own: Platform, tmp_path: Path
) -> None:
    cast, erased, backup = await own.cast(), await own.cast(), tmp_path / "backup"
    await miss(cast, await cast.confirmed())
    kept = await cast.confirmed(timedelta(days=9))
    load = await MixedLoad.prepare(own, members=8, providers=4)
    loading = asyncio.create_task(load.run(600))
    try:
        await eventually(lambda: len(load.ledger.booked) >= 10, seconds=60)
        await interrupted(own, backup)
        assert "complete" in await command(own, "backup", str(backup))
        booked = len(load.ledger.booked)
        lost = await cast.book(timedelta(days=6))
        person = f"/v1/people/{erased.member.subject}"
        await erased.support.delete(person, params={"reason": "law_requires_it", "now": "true"})
        await eventually(lambda: len(load.ledger.booked) >= booked + 10, seconds=60)
    finally:
        load.stop()
        await loading
    await miss(cast, kept)  # told after the backup
    await cast.eventually(lambda: missed_mails(cast), lambda count: count == 2)
    await drained(own)
    assert await asyncio.to_thread(own.audit) == []

    # A database server with everything on it is gone. The topics and the mailboxes are still there.
    assert "must not run" in await refused(own, "restore", str(backup))
    stop(own, "gateway", *SERVICES, "postgresql")
    shutil.rmtree(own.stack.folder("postgresql"))
    await command(own, "restore", str(backup), "--step", "databases")
    found = await asyncio.to_thread(own.audit)
    assert any(lost["id"] in violation for violation in found), found[:5]
    assert any(kept["id"] in violation for violation in found), found[:5]

    report_file = tmp_path / "report.json"
    told = await command(own, "restore", str(backup), "--step", "reconcile", "--report", str(report_file))
    assert "withdrawn" in told
    report = json.loads(report_file.read_text())
    assert lost["id"] in {session["key"] for session in report["lost_sessions"]}
    assert kept["id"] in {entity["key"] for entity in report["rolled_back"]}
    assert report["handled_by"] == {}, "a database of the backup has handled what is later than it"
    assert report["sent_already"] > 0
    assert report["erased_again"] == [erased.member.subject]

    await asyncio.to_thread(own.up)
    await drained(own)
    assert await asyncio.to_thread(own.audit) == []
    assert (await erased.support.get(f"{person}/erasure"))["state"] == "erased", (
        "the restore brought back who was erased"
    )
    assert (await cast.session(kept))["status"] == "confirmed"
    await cast.balance(available=3, held=1)
    await miss(cast, kept)
    await cast.balance(available=4, held=0)
    returns = [entry for entry in await cast.ledger() if (entry["kind"], entry["session_id"]) == ("return", kept["id"])]
    assert len(returns) == 1
    await drained(own)
    assert await missed_mails(cast) == 2, "the member was told of the same miss again"
    again = await cast.confirmed(timedelta(days=3))
    await miss(cast, again)
    await cast.eventually(lambda: missed_mails(cast), lambda count: count == 3)
    await drained(own)
    assert await asyncio.to_thread(own.audit) == []

    stop(own, "gateway", *SERVICES)
    assert "has run on its database" in await refused(own, "restore", str(backup), "--step", "reconcile")
    assert "not empty" in await refused(own, "restore", str(backup))
    dump = backup / "credits.dump"
    dump.write_bytes(dump.read_bytes()[:-1] + b"!")
    assert "damaged" in await refused(own, "restore", str(backup), "--replace")
