"""An export that is killed again and again holds each record once, and forgets whoever was erased."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import PersonErased, SessionConfirmed
from makegood_contracts.events.rooms import RoomOpened
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import ROOMS

pytest.importorskip("pyarrow", reason="the extra `data` is missing: make data")

from .export_case import FORMATS, Exports, changed, ends, naming, places, quarantined, wanted_places

PERSON = "member-to-be-erased"
BAD = 12


async def publish(exports: Exports) -> None:
    """Events of three topics, in which an erasure and records that do not fit stand between others."""
    confirmed: Any = example_of(SessionConfirmed)
    opened: Any = example_of(RoomOpened)
    for part in range(4):
        await exports.publish(
            *(changed(confirmed, session_id=f"s{part}-{at}", member_id=PERSON if at % 7 else "m") for at in range(120)),
            *(changed(opened, room_id=f"r{part}-{at}") for at in range(60)),
        )
        record = encode(opened, sequence=1, cause=Cause.begin())
        headers = [(name, value.encode()) for name, value in record.headers]
        bad = [(ROOMS.name, f"r{part}-{at}".encode(), headers, b'{"member_id": "%s"}') for at in range(BAD // 4)]
        await exports.send_raw(bad)
        if part in (1, 2):
            await exports.publish(PersonErased(person_id=PERSON, erased_at=opened.opened_at))


async def killed(exports: Exports, folder: Path, kind: str, kills: int, seed: int) -> None:
    """Exports with so many kills, and looks at what is there then."""
    script = Path(__file__).with_name("export_kills.py")
    words = [sys.executable, str(script), exports.servers, exports.prefix, str(folder), kind, str(kills), str(seed)]
    result = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= kills * 2 // 3, "the kills come too late"
    kept = [(entry["topic"], entry["partition"], entry["offset"]) for entry in quarantined(folder)]
    assert len(set(kept)) == len(kept) == BAD
    wanted = wanted_places(await ends(exports))
    for topic, partition, offset in kept:
        wanted[topic.replace(".", "_")].remove((partition, offset))
    assert places(folder, kind) == wanted
    assert naming(folder, PERSON) == []


@pytest.mark.rule("REL-1")
async def test_an_export_that_is_killed_holds_each_record_once(exports: Exports, tmp_path: Path) -> None:
    await publish(exports)
    for kind in FORMATS:
        await killed(exports, tmp_path / kind, kind, 6, seed=7)


@pytest.mark.extended
@pytest.mark.rule("REL-1")
async def test_an_export_that_is_killed_at_many_points(exports: Exports, tmp_path: Path) -> None:
    await publish(exports)
    for kind in FORMATS:
        for at in range(4):
            await killed(exports, tmp_path / f"{kind}-{at}", kind, 12, seed=at)
