"""Commands of the API on policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.refusals import FieldRefused
from msgspec.structs import replace

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.policy import Policy, changed, impossible
from makegood_booking.store.policies import add_policy, lock_latest_policy


async def change_policy(
    unit: UnitOfWork, dependencies: Dependencies, numbers: Mapping[str, Any], admit: Callable[[Policy], None]
) -> tuple[Policy, bool]:
    """Adds a version with these numbers, for sessions booked from now on. Also returns whether it differs from the
    latest one.

    `admit` raises if the latest version is not the one that the caller read.
    """
    latest = await lock_latest_policy(unit)
    admit(latest)
    updated = replace(latest, **numbers)
    fault = impossible(updated)
    if fault is not None:
        raise FieldRefused(*fault)
    if updated == latest:
        return latest, False
    updated = replace(updated, version=latest.version + 1)
    await add_policy(unit, dependencies.policies, updated)
    # Version 1 is never published, so the second version is the first event of its key.
    unit.publish(changed(updated, unit.now), sequence=latest.version, cause=unit.cause)
    return updated, True
