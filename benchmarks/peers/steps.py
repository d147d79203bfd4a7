"""The three durable steps of a booking, as functions that every workflow engine calls: the same SQL, the same tables.

A step ends with its own commit. The engine adds what it writes to remember that the step is done.
"""

from __future__ import annotations

import uuid

import asyncpg
from scratch import slot

_REQUEST = """
INSERT INTO sessions (id, room_id, member_id, provider_id, starts_at, ends_at, status) VALUES ($1,$1,$2,$3,$4,$5,'requested')
ON CONFLICT DO NOTHING
"""
_HOLD_SLOT = "INSERT INTO slot_holds VALUES ($1, $2, $3, tstzrange($4, $5)) ON CONFLICT DO NOTHING"
_HOLD_CREDIT = """
WITH paid AS (UPDATE accounts SET available = available - 1, held = held + 1 WHERE member_id = $2),
     entered AS (INSERT INTO ledger (member_id, session_id, kind, amount) VALUES ($2, $1, 'hold', 1))
INSERT INTO credit_holds VALUES ($1, $2, 'held')
"""
_RESERVE = "UPDATE sessions SET status = 'reserved', version = version + 1 WHERE id = $1"

_pool: asyncpg.Pool[asyncpg.Record] | None = None


async def connect(url: str) -> None:
    """Opens the connections that the steps use in this process."""
    global _pool
    _pool = await asyncpg.create_pool(url, min_size=1, max_size=16)


async def close() -> None:
    await _connections().close()


def _connections() -> asyncpg.Pool[asyncpg.Record]:
    assert _pool is not None, "connect first"
    return _pool


async def hold_slot(number: int) -> bool:
    member, provider, start, stop = slot(number)
    session = uuid.UUID(int=number + 1)
    async with _connections().acquire() as connection, connection.transaction():
        await connection.execute(_REQUEST, session, member, provider, start, stop)
        return await connection.execute(_HOLD_SLOT, session, provider, member, start, stop) == "INSERT 0 1"


async def hold_credit(number: int) -> bool:
    return await _connections().execute(_HOLD_CREDIT, uuid.UUID(int=number + 1), slot(number)[0]) == "INSERT 0 1"


async def reserve(number: int) -> bool:
    return await _connections().execute(_RESERVE, uuid.UUID(int=number + 1)) == "UPDATE 1"
