"""A whole restore: check, stop if anything speaks against it, load, reconcile, and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from makegood_devtools.errors import UserError
from makegood_devtools.join_key import make_join_key
from rich.console import Console

from makegood_stack import kafka, postgres
from makegood_stack.backup import databases, manifest, reconciling
from makegood_stack.backup.manifest import Manifest
from makegood_stack.backup.reconciling import Report
from makegood_stack.backup.taking import Say
from makegood_stack.config import Choices, Stack
from makegood_stack.event_verifier import verifier_of
from makegood_stack.ports import SERVICES
from makegood_stack.processes import Supervisor


@dataclass(frozen=True)
class Asked:
    """`data` and `reconcile`: which of the two steps to do. `replace`: delete what is in the databases."""

    folder: Path
    keys: Path
    replace: bool = False
    data: bool = True
    reconcile: bool = True


def checked(stack: Stack, asked: Asked) -> Manifest:
    """The backup's manifest, if the backup can be restored here. Raises UserError otherwise."""
    made = manifest.read(asked.folder)
    if made.prefix != stack.topic_prefix():
        raise UserError(
            f"the backup is of the topics with the prefix {made.prefix!r}, and KAFKA_TOPIC_PREFIX is {stack.topic_prefix()!r}"
        )
    manifest.check_release(made, stack.home.root)
    if asked.data:
        if not made.has_data:
            raise UserError(
                f"{asked.folder} has positions only. Recover the databases to its positions first, then: "
                "makegood restore … --step reconcile"
            )
        manifest.check_files(made, asked.folder, asked.keys)
    return made


def start_servers(stack: Stack, console: Console) -> None:
    """Starts the servers of an embedded platform, without the services. Raises UserError if a service is running.

    Servers in containers must be running already.
    """
    if stack.logins:
        return
    running = Supervisor(stack.home).running()
    services = [name for name in running if name.partition("-")[0] in SERVICES]
    if services:
        raise UserError(f"{', '.join(services)} must not run while databases are restored. Stop them: makegood down")
    make_join_key(stack.home.join_links)  # on a new machine; the role migrate checks all settings
    needed = frozenset(part for part in (kafka.NAME, postgres.NAME) if stack.is_embedded(part))
    if needed:
        # Imported at its use: an installation that uses servers of others does not have what starts our own.
        from makegood_stack import up as starting

        starting.up(stack.home, Choices.remembered(stack.home), console, needed | {"mail"})


async def restore(stack: Stack, made: Manifest, asked: Asked, say: Say) -> Report | None:
    """Does the steps that were asked for. Returns what was reconciled. Raises UserError.

    Reconciling believes only what is signed, so nothing is touched if the event keys cannot be read.
    """
    verifier = verifier_of(stack) if asked.reconcile else None
    await databases.require_idle(stack)
    if asked.data:
        if not asked.replace:
            await databases.require_empty(stack)
        await databases.restore(stack, made, asked.folder, asked.keys, say)
    if verifier is None:
        return None
    return await reconciling.reconcile(stack, made, verifier, say)


def write(report: Report, path: Path) -> None:
    """Writes the report as JSON. It has ids of people, but no names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report, enc_hook=dict), indent=1) + b"\n")
