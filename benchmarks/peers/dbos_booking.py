"""A booking as a DBOS workflow of three durable steps: hold the slot, hold the credit, reserve.

DBOS (https://docs.dbos.dev) is a library that records each step in PostgreSQL. Workflows and clients run in one process, as
its guides show. What it does not do here: no broker and no events, no HTTP, no sign-in, no idempotency keys, no refusals, no
expiry of holds, and one service instead of three.

    python -m peers.dbos_booking --server postgresql://postgres@127.0.0.1:5432/postgres     # in benchmarks/
"""

from __future__ import annotations

import asyncio

from dbos import DBOS, DBOSConfig
from measuring import Numbers, PeerOptions, closed_loop, peer_main
from scratch import scratch_database

from peers import steps

hold_slot, hold_credit, reserve = (DBOS.step()(step) for step in (steps.hold_slot, steps.hold_credit, steps.reserve))


@DBOS.workflow()
async def book(number: int) -> bool:
    return await hold_slot(number) and await hold_credit(number) and await reserve(number)


async def _measure(options: PeerOptions) -> dict[int, Numbers]:
    results: dict[int, Numbers] = {}
    async with scratch_database(options.server, "makegood_bench_dbos") as url:
        config: DBOSConfig = {
            "name": "booking",
            "system_database_url": url,
            "sys_db_pool_size": 20,
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        await steps.connect(url)
        first = 0
        for clients in options.clients:
            results[clients], first = await closed_loop(book, clients=clients, seconds=options.seconds, first=first)
        DBOS.destroy()
        await steps.close()
    return results


if __name__ == "__main__":
    peer_main(__doc__, lambda options: asyncio.run(_measure(options)), [8, 16, 64])
