"""Cancellation policies. A version never changes, so a process caches all versions that it has read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of
from msgspec.structs import asdict, fields
from sqlalchemy import bindparam, insert, literal_column, select, text

from makegood_booking.domain.policy import Policy
from makegood_booking.store.tables import policies

_FRESH: Final = 5.0
"""Seconds after which a process looks for a newer policy."""
_LOCK: Final = 0x706F6C69
_P: Final = policies.c
_POLICY: Final = select(_P.version, _P.id, _P.numbers)
_NEWEST_FIRST: Final = _POLICY.order_by(_P.version.desc())
_LATEST: Final = Statement(_NEWEST_FIRST.limit(literal_column("1")))
_OLDER: Final = Statement(
    _NEWEST_FIRST.where(text("version < coalesce(CAST(:before AS int), 2147483647)")).limit(bindparam("most"))
)
_OF_VERSIONS: Final = Statement(_POLICY.where(any_of(_P.version)))
_ADD: Final = Statement(insert(policies))
_NUMBERS = frozenset(field.name for field in fields(Policy)) - {"id", "version"}


class PolicyCache:
    """The versions that this process has read. `monotonic`: seconds of real time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._versions: dict[int, Policy] = {}
        self._current: Policy | None = None
        self._fresh_until = 0.0

    async def current(self, queries: Queries) -> Policy:
        """The policy for a booking made now. A new one takes effect within seconds."""
        if self._current is None or self._monotonic() > self._fresh_until:
            self._current = self._keep(await _read_latest(queries))
            self._fresh_until = self._monotonic() + _FRESH
        return self._current

    def expire(self) -> None:
        """Makes the next caller read the current policy again."""
        self._fresh_until = 0.0

    async def load(self, queries: Queries, versions: Iterable[int]) -> None:
        """Reads those of the versions that this process has not read yet."""
        missing = sorted(set(versions) - self._versions.keys())
        if missing:
            for row in await queries.fetch(_OF_VERSIONS(version=missing)):
                self._keep(_policy(row))

    def of(self, version: int) -> Policy:
        """A version that was loaded. Raises KeyError if it was not loaded or does not exist."""
        return self._versions[version]

    def _keep(self, policy: Policy) -> Policy:
        return self._versions.setdefault(policy.version, policy)


async def lock_latest_policy(unit: UnitOfWork) -> Policy:
    """The latest policy. Nobody else can add one until the unit ends."""
    # It does not lock the table, because that would need the right to change it.
    await unit.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    return await _read_latest(unit)


async def add_policy(unit: UnitOfWork, cache: PolicyCache, policy: Policy) -> None:
    """Adds a version. Existing versions never change."""
    numbers = {name: value for name, value in asdict(policy).items() if name in _NUMBERS}
    await unit.execute(_ADD(version=policy.version, id=policy.id, numbers=numbers, in_force_from=unit.now))
    unit.after_commit(cache.expire)


async def list_policies(queries: Queries, before: int | None, most: int) -> list[Policy]:
    """At most `most` versions older than `before`, newest first."""
    return [_policy(row) for row in await queries.fetch(_OLDER(before=before, most=most))]


async def _read_latest(queries: Queries) -> Policy:
    row = await queries.fetch_one(_LATEST())
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
