"""Seals the rows of an access log after their commit, and publishes each on the service's access topic in the same
transaction.

Ids do not follow the order of commits, so rows are chained in the order in which they are found, by id within a batch:
a row that commits late is later in the chain. A lock in the database lets only one process of a service seal at a time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from makegood_contracts.envelope import Cause
from makegood_contracts.events import ACCESS_RECORDED, AccessRecordedFact

from makegood_chassis.access.chain import Seal, seal
from makegood_chassis.access.tables import COLUMNS
from makegood_chassis.database import Database, Row, UnitOfWork
from makegood_chassis.repeating import repeat

if TYPE_CHECKING:
    from makegood_chassis.service import Service

_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('access_seals'))"
_LAST: Final = "SELECT number, row_id, row_hash, hash FROM access_seals ORDER BY number DESC LIMIT 1"
UNSEALED: Final = f"""
SELECT {COLUMNS}, (SELECT true FROM access_seals AS s WHERE s.row_id = id) IS NOT NULL AS is_sealed
FROM access_unsealed CROSS JOIN LATERAL (SELECT * FROM access_rows WHERE id = row_id OFFSET 0) AS waiting
ORDER BY row_id LIMIT $1
"""  # noqa: S608 - constants of ours
"""A row that is already sealed, or missing, must not stop the others.

Each row is looked up by itself (`OFFSET 0`). As a plain join, it would read the whole log from its beginning.
"""
_SEAL: Final = """
WITH sealed AS (DELETE FROM access_unsealed WHERE row_id = ANY($5::bigint[]))
INSERT INTO access_seals (number, row_id, row_hash, hash)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])
"""
_PAUSE: Final = 1.0
"""Seconds between two checks for new rows."""
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,160}")
"""What may be published as an id. Anything else that a caller wrote into an address is not published."""


async def seal_once(database: Database, recorded: type[AccessRecordedFact], *, at_once: int = 500) -> int:
    """Seals the waiting rows, at most `at_once`. Returns how many, or 0 while another process is sealing."""
    async with database.reading() as queries:
        if not await queries.fetch_value("SELECT EXISTS (SELECT FROM access_unsealed)"):
            return 0
    async with database.transaction(Cause("access", "access")) as unit:
        if not await unit.fetch_value(_LOCK):
            return 0
        rows = await unit.fetch(UNSEALED, at_once)
        if not rows:
            return 0
        found = await unit.fetch_one(_LAST)
        last = Seal(**found) if found is not None else None
        seals: list[Seal] = []
        for row in rows:
            if row["is_sealed"]:
                continue
            last = seal(dict(row), last)
            seals.append(last)
            _tell(unit, recorded, row, last)
        await unit.execute(
            _SEAL,
            [each.number for each in seals],
            [each.row_id for each in seals],
            [each.row_hash for each in seals],
            [each.hash for each in seals],
            [row["id"] for row in rows],
        )
    return len(seals)


def _tell(unit: UnitOfWork, recorded: type[AccessRecordedFact], row: Row, link: Seal) -> None:
    values: dict[str, Any] = {name: row[name] for name in ("at", "caller", "role", "operation", "outcome", "times")}
    event = recorded(
        **values,
        chain=recorded.topic.owner,
        number=link.number,
        row_id=link.row_id,
        person_id=_plain(row["person_id"]),
        entity=_plain(row["entity"]),
        reason=row["reason"],
        request_id=row["request_id"],
        row_hash=link.row_hash.hex(),
        hash=link.hash.hex(),
    )
    unit.publish(event, sequence=link.number, cause=Cause(row["request_id"], row["request_id"]))


def _plain(text: str | None) -> str | None:
    return text if text is not None and _ID.fullmatch(text) else None


async def drain(service: Service) -> None:
    """Seals all waiting rows, for a process that is about to stop."""
    recorded = ACCESS_RECORDED[_chain(service)]
    while await seal_once(service.database, recorded):
        pass


async def keep_sealed(service: Service) -> None:
    """A worker of the service. Rows are sealed within two seconds, a few at a time while there are many."""
    recorded = ACCESS_RECORDED[_chain(service)]

    async def job() -> bool:
        return await seal_once(service.database, recorded) > 0

    await repeat(job, _PAUSE, name="seal-access")


def _chain(service: Service) -> Any:
    return service.name
