"""Stores people's keys: the interface, and the store in the service's own database."""

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
"""For the migration of a service that stores people's texts."""

_FIND: Final = "SELECT person_id, wrapped, master_key FROM personal_keys WHERE person_id = ANY($1::text[])"
_LOCK: Final = f"{_FIND} ORDER BY person_id FOR KEY SHARE"
"""Until this transaction ends, the key that it uses cannot be destroyed."""
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
    """Stores one key per person. A destroyed key must not come back."""

    async def find(self, queries: Queries, people: Collection[str]) -> dict[str, bytes]:
        """The keys of those people who have one."""

    async def obtain(self, unit: UnitOfWork, people: Collection[str]) -> dict[str, bytes]:
        """The keys of all these people. A person without one gets a new one. They exist at least until `unit` ends."""

    async def destroy(self, unit: UnitOfWork, people: Collection[str]) -> None:
        """Destroys the keys of these people, with `unit` or earlier."""

    async def rewrap(self, unit: UnitOfWork, at_once: int) -> int:
        """Encrypts at most `at_once` keys with the current master key. Returns how many there were."""


class PostgresKeyStore:
    """Stores keys in a table that backups of the data leave out. Somebody who steals the database also needs the master
    key. With that and a backup of this table, data that was erased since can be read, so keep such backups separately
    and for a shorter time.
    """

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
