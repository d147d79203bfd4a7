"""The floor "mix": how fast PostgreSQL by itself commits the SQL of a booking, with no broker, no HTTP, no rules and no client cost.

Requests run inside the server, in procedures that commit once a booking (session, idempotency key, outbox). Consumers take
bookings in batches of 50, one transaction a step and batch: hold slots, hold credits, decide; then they delete the sent
outbox rows. What a service on top of it reaches is a share of this figure (PERF-2).

    python benchmarks/floor.py --server postgresql://postgres@127.0.0.1:5432/postgres
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid

import asyncpg
import uvloop
from scratch import EPOCH, LENGTH, MEMBERS, PAYLOAD, scratch_database

BATCH = 50

REQUESTS = f"""
CREATE PROCEDURE request_bookings(lane int, lanes int, bookings int) LANGUAGE plpgsql AS $$
DECLARE
    n int := lane;
    id uuid;
    start timestamptz;
BEGIN
    WHILE n < bookings LOOP
        id := lpad(to_hex(n + 1), 32, '0')::uuid;
        start := timestamptz '{EPOCH.isoformat()}' + (n / {MEMBERS}) * interval '{LENGTH.seconds} seconds';
        INSERT INTO idempotency_keys VALUES ('member-' || n % {MEMBERS}, id::text, '\\x00');
        INSERT INTO sessions (id, room_id, member_id, provider_id, starts_at, ends_at, status)
        VALUES (id, id, 'member-' || n % {MEMBERS}, 'provider-' || n % {MEMBERS}, start,
                start + interval '{LENGTH.seconds} seconds', 'requested');
        INSERT INTO outbox (topic, key, payload) VALUES ('sessions', id::text, decode(repeat('78', {len(PAYLOAD)}), 'hex'));
        COMMIT;
        n := n + lanes;
    END LOOP;
END $$
"""
TAKE = """
DELETE FROM outbox WHERE id IN
    (SELECT id FROM outbox WHERE topic = 'sessions' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key::uuid
"""
SESSIONS = "SELECT member_id FROM sessions WHERE id = ANY($1)"
INBOX = "INSERT INTO inbox SELECT gen_random_uuid() FROM generate_series(1, $1) ON CONFLICT DO NOTHING"
OUTBOX = "INSERT INTO outbox (topic, key, payload) SELECT $1, id::text, $3 FROM unnest($2::uuid[]) AS id RETURNING id"
HOLD_SLOTS = """
INSERT INTO slot_holds SELECT id, provider_id, member_id, tstzrange(starts_at, ends_at) FROM sessions WHERE id = ANY($1)
ON CONFLICT DO NOTHING
"""
LOCK_ACCOUNTS = "SELECT member_id, available FROM accounts WHERE member_id = ANY($1) ORDER BY member_id FOR UPDATE"
HOLD_CREDITS = """
WITH wanted AS (SELECT id, member_id FROM sessions WHERE id = ANY($1)),
     paid AS (UPDATE accounts SET available = available - n, held = held + n
              FROM (SELECT member_id, count(*)::int AS n FROM wanted GROUP BY member_id) AS per
              WHERE accounts.member_id = per.member_id),
     entered AS (INSERT INTO ledger (member_id, session_id, kind, amount) SELECT member_id, id, 'hold', 1 FROM wanted)
INSERT INTO credit_holds SELECT id, member_id, 'held' FROM wanted
"""
LOCK_SESSIONS = "SELECT id, status, version FROM sessions WHERE id = ANY($1) ORDER BY id FOR UPDATE"
RESERVE = "UPDATE sessions SET status = 'reserved', version = version + 1 WHERE id = ANY($1)"
SENT = "DELETE FROM outbox WHERE id = ANY($1)"


async def _consume(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """One batch through availability, credits and booking, each in its own transaction."""
    async with connection.transaction():
        ids: list[uuid.UUID] = [row[0] for row in await connection.fetch(TAKE, BATCH)]
        if not ids:
            return 0
        await connection.execute(INBOX, len(ids))
        await connection.execute(HOLD_SLOTS, ids)
        sent = await connection.fetch(OUTBOX, "reservations", ids, PAYLOAD)
    async with connection.transaction():
        await connection.execute(INBOX, len(ids))
        members = [row[0] for row in await connection.fetch(SESSIONS, ids)]
        await connection.fetch(LOCK_ACCOUNTS, members)
        await connection.execute(HOLD_CREDITS, ids)
        sent += await connection.fetch(OUTBOX, "holds", ids, PAYLOAD)
    async with connection.transaction():
        await connection.execute(INBOX, len(ids) * 2)
        await connection.fetch(LOCK_SESSIONS, ids)
        await connection.execute(RESERVE, ids)
        sent += await connection.fetch(OUTBOX, "reserved", ids, PAYLOAD)
    await connection.execute(SENT, [row[0] for row in sent])
    return len(ids)


async def measure(server_url: str, *, lanes: int, bookings: int) -> float:
    """Bookings committed a second, through all of the saga's SQL."""
    async with scratch_database(server_url, "makegood_bench_floor") as url:
        connections = [await asyncpg.connect(url) for _ in range(lanes + 2)]
        await connections[0].execute(REQUESTS)
        left = bookings

        async def consumer(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            nonlocal left
            while left > 0:
                taken = await _consume(connection)
                left -= taken
                if not taken:
                    await asyncio.sleep(0.002)

        began = time.monotonic()
        requests = (
            connections[lane].execute("CALL request_bookings($1, $2, $3)", lane, lanes, bookings)
            for lane in range(lanes)
        )
        await asyncio.gather(*requests, *(consumer(connection) for connection in connections[lanes:]))
        elapsed = time.monotonic() - began
        for connection in connections:
            await connection.close()
    return bookings / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="PostgreSQL with the right to create databases")
    parser.add_argument("--lanes", type=int, nargs="+", default=[2, 4, 8], help="requests at once")
    parser.add_argument("--bookings", type=int, default=20_000)
    options = parser.parse_args()
    results = {
        lanes: round(uvloop.run(measure(options.server, lanes=lanes, bookings=options.bookings)))
        for lanes in options.lanes
    }
    print(json.dumps({"bookings_per_second_by_lanes": results, "best": max(results.values())}))


if __name__ == "__main__":
    main()
