"""Takes a backup: the cut, then a dump of each database from its snapshot."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from makegood_contracts.ids import new_id
from makegood_devtools.errors import UserError

from makegood_stack.backup import cut, manifest, programs
from makegood_stack.backup.manifest import DatabaseNote, Manifest
from makegood_stack.config import Stack
from makegood_stack.error_groups import first_error
from makegood_stack.ports import SERVICES

T = TypeVar("T")
Say = Callable[[str], None]
KEYS = "keys"


@dataclass(frozen=True)
class Wanted:
    """`keys`: where the dumps of people's keys go. `positions_only`: no dumps, for a point-in-time recovery to the cut."""

    folder: Path
    keys: Path
    positions_only: bool = False


async def take(stack: Stack, wanted: Wanted, say: Say) -> Manifest:
    """Takes a backup into `wanted.folder`, which appears only when it is complete. Raises UserError."""
    folder = wanted.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty. Choose another folder")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True, mode=0o700)
        made = await _into(stack, part, wanted, say)
        manifest.write(made, part)
        _make_durable(part)
        part.replace(folder)
        _sync(folder.parent)
    except OSError as error:
        raise UserError(f"the backup cannot be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return made


async def _into(stack: Stack, part: Path, wanted: Wanted, say: Say) -> Manifest:
    urls = {service: stack.database_url(service, "owner") for service in SERVICES}
    prefix = stack.topic_prefix()
    inside = wanted.keys == wanted.folder / KEYS
    keys = part / KEYS if inside else wanted.keys
    if not wanted.positions_only:
        if not inside and keys.exists() and any(keys.iterdir()):
            raise UserError(f"{keys} is not empty. Choose another folder for people's keys")
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with cut.take(urls, stack.kafka, prefix) as taken:
        taken_at = datetime.now(UTC)
        say(f"  all services paused for {taken.paused_ms} ms; offsets of {len(taken.ends)} topics noted")
        notes = dict(taken.databases)
        if not wanted.positions_only:
            notes = await at_once(
                {
                    service: _dump(service, urls[service], note, taken.snapshots[service], part, keys, say)
                    for service, note in taken.databases.items()
                }
            )
    return Manifest(
        id=new_id(),
        taken_at=taken_at,
        prefix=prefix,
        paused_ms=taken.paused_ms,
        databases=notes,
        ends=taken.ends,
        groups=taken.groups,
    )


async def at_once(work: Mapping[str, Coroutine[Any, Any, T]]) -> dict[str, T]:
    """Does the work of all services at once. If one fails, the others are ended, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {service: group.create_task(one) for service, one in work.items()}
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return {service: task.result() for service, task in tasks.items()}


async def _dump(
    service: str, url: str, note: DatabaseNote, snapshot: str, folder: Path, keys: Path, say: Say
) -> DatabaseNote:
    """Dumps the database, and people's keys to a file of their own, so that they can be kept for a shorter time."""
    pg_dump = await programs.program("pg_dump", int(note.server.split(".")[0]))
    common = (pg_dump, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
    data, wrapped = folder / f"{service}.dump", keys / f"{service}.keys.dump"
    await programs.run((*common, "--exclude-table-data=personal_keys", f"--file={data}"), url, service)
    await programs.run((*common, "--data-only", "--table=personal_keys", f"--file={wrapped}"), url, service)
    files = [await asyncio.to_thread(manifest.digest, path) for path in (data, wrapped)]
    say(f"  {service:<14} {files[0].bytes / 1024:10.0f} KiB, tables of revision {note.revision}")
    return msgspec.structs.replace(note, data=files[0], keys=files[1])


def _make_durable(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
