"""Re-wraps keys after a change of the master key, and seals what older versions left in plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from makegood_contracts.envelope import Cause

from makegood_chassis.database import UnitOfWork
from makegood_chassis.personal_data.master_keys import UnknownMasterKey
from makegood_chassis.repeating import repeat

if TYPE_CHECKING:
    from makegood_chassis.service import Service

AT_ONCE: Final = 200
_EVERY: Final = 60.0
_log = structlog.get_logger(__name__)

Step: TypeAlias = Callable[[UnitOfWork, int], Awaitable[int]]
"""Seals rows that are in plain text, at most the given number. Returns how many there were."""


async def rewrap(unit: UnitOfWork, at_once: int) -> int:
    return await unit.personal_data.keys.rewrap(unit, at_once)


async def seal_all(service: Service, steps: Sequence[Step]) -> int:
    """Repeats every step until nothing is left. Returns how many rows there were."""
    done = 0
    for step in steps:
        while True:
            async with service.database.transaction(Cause.begin()) as unit:
                count = await step(unit, AT_ONCE)
            done += count
            if count < AT_ONCE:
                break
    return done


def keep_sealed(*steps: Step) -> Callable[[Service], Awaitable[None]]:
    """A worker that does so at its start and every minute, because an older version may still write during an update."""

    async def sealing(service: Service) -> None:
        async def job() -> None:
            try:
                if done := await seal_all(service, (*steps, rewrap)):
                    _log.info("personal data sealed", rows=done)
            except UnknownMasterKey as error:
                _log.error("a master key is missing from DATA_KEYS", master_key=str(error))

        await repeat(job, _EVERY, spread=True, name="seal-personal-data")

    return sealing
