"""Where the keys of people live: a port, and the store in the service's own database."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Protocol

from makegood_chassis.personal_data.master_keys import MasterKeys, new_key

if TYPE_CHECKING:
    from makegood_chassis.database import Queries, UnitOfWork

SCHEMA: Final = """
CREATE TABLE personal_keys (
    person_id text PRIMARY KEY,
    wrapped bytea NOT NULL,
    master_key text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX personal_keys_by_master_key ON personal_keys (master_key);
COMMENT ON TABLE personal_keys IS
    'One key a person, wrapped with a master key of DATA_KEYS. Deleting it erases what it sealed: keep it out of backups of the data.';
ALTER TABLE idempotency_keys ADD COLUMN sealed_for text;
COMMENT ON COLUMN idempotency_keys.sealed_for IS 'Whose key the kept answer is encrypted with; null: it holds nothing personal.';
"""
"""What the migration of a service executes that keeps words of people."""

_FIND: Final = "SELECT person_id, wrapped, master_key FROM personal_keys WHERE person_id = ANY($1::text[])"
_LOCK: Final = f"{_FIND} ORDER BY person_id FOR KEY SHARE"
"""Until this transaction ends, the key that it seals with cannot be destroyed."""
_ADD: Final = """
INSERT INTO personal_keys (person_id, wrapped, master_key)
SELECT person_id, wrapped, $3 FROM unnest($1::text[], $2::bytea[]) AS new (person_id, wrapped)
ON CONFLICT (person_id) DO NOTHING
"""
_DESTROY: Final = "DELETE FROM personal_keys WHERE person_id = ANY($1::text[])"
_STALE: Final = """
SELECT person_id, wrapped, master_key FROM personal_keys WHERE master_key <> $1
ORDER BY person_id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_REWRAP: Final = """
UPDATE personal_keys AS k SET wrapped = new.wrapped, master_key = $3
FROM unnest($1::text[], $2::bytea[]) AS new (person_id, wrapped) WHERE k.person_id = new.person_id
"""


class KeyStore(Protocol):
    """Keeps one key a person. What a store destroys must not come back."""

    async def find(self, queries: Queries, people: Collection[str]) -> dict[str, bytes]:
        """The keys of those people who have one."""

    async def obtain(self, unit: UnitOfWork, people: Collection[str]) -> dict[str, bytes]:
        """The keys of all these people; who has none gets one. They hold at least until `unit` ends."""

    async def destroy(self, unit: UnitOfWork, people: Collection[str]) -> None:
        """Destroys the keys of these people, with `unit` or before it."""

    async def rewrap(self, unit: UnitOfWork, at_once: int) -> int:
        """Brings keys under the current master key, `at_once` at most; how many there were."""


class PostgresKeyStore:
    """In a table beside the data, which backups of the data leave out. A thief of the database needs the master key as well; whoever has that and
    a backup of this table can read what was erased since, so keep such backups apart and for a shorter time."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master = master_keys

    async def find(self, queries: Queries, people: Collection[str]) -> dict[str, bytes]:
        return {
            row[0]: self._master.unwrap(row[1], row[0], row[2]) for row in await queries.fetch(_FIND, sorted(people))
        }

    async def obtain(self, unit: UnitOfWork, people: Collection[str]) -> dict[str, bytes]:
        wanted = sorted(set(people))
        rows = await unit.fetch(_LOCK, wanted)
        missing = sorted(set(wanted) - {row[0] for row in rows})
        if missing:
            wrapped = [self._master.wrap(new_key(), person) for person in missing]
            await unit.execute(_ADD, missing, wrapped, self._master.current)
            rows = await unit.fetch(_LOCK, wanted)
        return {row[0]: self._master.unwrap(row[1], row[0], row[2]) for row in rows}

    async def destroy(self, unit: UnitOfWork, people: Collection[str]) -> None:
        await unit.execute(_DESTROY, sorted(people))

    async def rewrap(self, unit: UnitOfWork, at_once: int) -> int:
        rows = await unit.fetch(_STALE, self._master.current, at_once)
        if rows:
            keys = [self._master.wrap(self._master.unwrap(row[1], row[0], row[2]), row[0]) for row in rows]
            await unit.execute(_REWRAP, [row[0] for row in rows], keys, self._master.current)
        return len(rows)
