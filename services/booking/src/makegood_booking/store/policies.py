"""Policies, cached: a version never changes once it is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any, Final

from makegood_chassis.database import Queries, Row, UnitOfWork

from makegood_booking.domain.policy import Policy

_FRESH: Final = 5.0
_LOCK: Final = 0x706F6C69
"""Seconds after which a process looks for a newer policy."""
_LATEST = "SELECT version, id, numbers FROM policies ORDER BY version DESC LIMIT 1"
_NUMBERS = frozenset(field.name for field in fields(Policy)) - {"id", "version"}


class Policies:
    """All versions, as one process knows them."""

    def __init__(self) -> None:
        self._known: dict[int, Policy] = {}
        self._current: Policy | None = None
        self._read_at = 0.0

    async def current(self, queries: Queries) -> Policy:
        """The policy that a booking made now is under; a new one counts within seconds."""
        if self._current is None or time.monotonic() - self._read_at > _FRESH:
            row = await queries.fetch_one(_LATEST)
            if row is None:
                raise LookupError("the database has no policy; run the migrations")
            self._current = self._learn(row)
            self._read_at = time.monotonic()
        return self._current

    async def lock_latest(self, unit: UnitOfWork) -> Policy:
        """The latest policy; nobody else adds one until the unit ends."""
        # Not a lock of the table: that takes the right to change it.
        await unit.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        row = await unit.fetch_one(_LATEST)
        if row is None:
            raise LookupError("the database has no policy; run the migrations")
        return self._learn(row)

    async def add(self, policy: Policy, unit: UnitOfWork) -> None:
        """Adds a version. Those that stand are never changed."""
        numbers = {name: value for name, value in asdict(policy).items() if name in _NUMBERS}
        await unit.execute(
            "INSERT INTO policies (version, id, numbers, in_force_from) VALUES ($1, $2, $3, $4)",
            policy.version,
            policy.id,
            numbers,
            unit.now,
        )
        unit.after_commit(self._look_anew)

    def _look_anew(self) -> None:
        self._read_at = 0.0

    async def list(self, before: int | None, most: int, queries: Queries) -> list[Policy]:
        """At most `most` versions older than `before`, newest first."""
        rows = await queries.fetch(
            "SELECT version, id, numbers FROM policies WHERE version < coalesce($1::int, 2147483647) "
            "ORDER BY version DESC LIMIT $2",
            before,
            most,
        )
        return [self._learn(row) for row in rows]

    async def know(self, versions: Iterable[int], queries: Queries) -> None:
        """Reads those versions that this process has not met yet."""
        missing = sorted(set(versions) - self._known.keys())
        if missing:
            for row in await queries.fetch(
                "SELECT version, id, numbers FROM policies WHERE version = ANY($1::int[])", missing
            ):
                self._learn(row)

    def of(self, version: int) -> Policy:
        """A version that is known. Raises KeyError for one that does not exist."""
        return self._known[version]

    def _learn(self, row: Row) -> Policy:
        numbers: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else int(value)
            for name, value in row["numbers"].items()
            if name in _NUMBERS
        }
        policy = Policy(row["id"], row["version"], **numbers)
        return self._known.setdefault(policy.version, policy)
