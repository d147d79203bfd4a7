"""Policies of cancellation. A version never changes once it is written, so a process keeps all that it has met."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from typing import Any, Final

from makegood_chassis.database import Queries, Row, UnitOfWork

from makegood_booking.domain.policy import Policy

_FRESH: Final = 5.0
"""Seconds after which a process looks for a newer policy."""
_LOCK: Final = 0x706F6C69
_LATEST = "SELECT version, id, numbers FROM policies ORDER BY version DESC LIMIT 1"
_NUMBERS = frozenset(field.name for field in fields(Policy)) - {"id", "version"}


class PolicyCache:
    """The versions that this process has met. `monotonic`: seconds of real time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._versions: dict[int, Policy] = {}
        self._current: Policy | None = None
        self._fresh_until = 0.0

    async def current(self, queries: Queries) -> Policy:
        """The policy that a booking made now is under; a new one counts within seconds."""
        if self._current is None or self._monotonic() > self._fresh_until:
            self._current = self._keep(await _read_latest(queries))
            self._fresh_until = self._monotonic() + _FRESH
        return self._current

    def expire(self) -> None:
        """Makes the next caller read the current policy again."""
        self._fresh_until = 0.0

    async def load(self, queries: Queries, versions: Iterable[int]) -> None:
        """Reads those versions that this process has not met yet."""
        missing = sorted(set(versions) - self._versions.keys())
        if missing:
            for row in await queries.fetch(
                "SELECT version, id, numbers FROM policies WHERE version = ANY($1::int[])", missing
            ):
                self._keep(_policy(row))

    def of(self, version: int) -> Policy:
        """A version that was loaded. Raises KeyError for one that was not, or does not exist."""
        return self._versions[version]

    def _keep(self, policy: Policy) -> Policy:
        return self._versions.setdefault(policy.version, policy)


async def lock_latest_policy(unit: UnitOfWork) -> Policy:
    """The latest policy; nobody else adds one until the unit ends."""
    # Not a lock of the table: that takes the right to change it.
    await unit.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    return await _read_latest(unit)


async def add_policy(unit: UnitOfWork, policies: PolicyCache, policy: Policy) -> None:
    """Adds a version. Those that stand are never changed."""
    numbers = {name: value for name, value in asdict(policy).items() if name in _NUMBERS}
    await unit.execute(
        "INSERT INTO policies (version, id, numbers, in_force_from) VALUES ($1, $2, $3, $4)",
        policy.version,
        policy.id,
        numbers,
        unit.now,
    )
    unit.after_commit(policies.expire)


async def list_policies(queries: Queries, before: int | None, most: int) -> list[Policy]:
    """At most `most` versions older than `before`, newest first."""
    rows = await queries.fetch(
        "SELECT version, id, numbers FROM policies WHERE version < coalesce($1::int, 2147483647) "
        "ORDER BY version DESC LIMIT $2",
        before,
        most,
    )
    return [_policy(row) for row in rows]


async def _read_latest(queries: Queries) -> Policy:
    row = await queries.fetch_one(_LATEST)
    if row is None:
        raise LookupError("the database has no policy; run the migrations")
    return _policy(row)


def _policy(row: Row) -> Policy:
    numbers: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else int(value)
        for name, value in row["numbers"].items()
        if name in _NUMBERS
    }
    return Policy(row["id"], row["version"], **numbers)
