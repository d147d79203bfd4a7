"""A booking through three plain services, one process each: `plain_service.py` says what they do, and what they do not.

Clients post to the booking service and wait until the session is reserved.

    python -m peers.plain_booking --server postgresql://postgres@127.0.0.1:5432/postgres --kafka 127.0.0.1:9092 \\
        --tools ../.makegood/peers
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from measuring import Numbers, PeerOptions, peer_main
from scratch import scratch_database, slot
from vegeta import peer_attacks

from peers.children import HOST, free_ports, running

_TOPICS = ("plain-session-requested", "plain-slot-held", "plain-credit-held")
_PARTITIONS = 12


@asynccontextmanager
async def _topics(kafka: str) -> AsyncIterator[None]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, _PARTITIONS, 1) for name in _TOPICS])
        yield
        await admin.delete_topics(list(_TOPICS))
    finally:
        await admin.close()


def _bodies(first: int, last: int) -> Iterator[dict[str, Any]]:
    for number in range(first, last):
        member, provider, start, end = slot(number)
        yield {
            "room_id": str(uuid.UUID(int=number + 1)),
            "member_id": member,
            "provider_id": provider,
            "starts_at": start.isoformat(),
            "ends_at": end.isoformat(),
        }


@contextmanager
def _services(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The services, and the address that clients send to."""
    services = ("booking", "availability", "credits")
    ports = free_ports(len(services))
    with ExitStack() as processes:
        for service, port in zip(services, ports, strict=True):
            uvicorn = ("uvicorn", f"peers.plain_service:{service}", "--port", str(port), "--no-access-log")
            command = (sys.executable, "-m", *uvicorn)
            processes.enter_context(running(folder / f"{service}.log", *command, port=port, environment=environment))
        yield f"http://{HOST}:{ports[0]}/sessions"


async def _measure(options: PeerOptions) -> dict[int, Numbers]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with scratch_database(options.server, "makegood_bench_plain") as url, _topics(options.kafka):
            environment = {
                "MAKEGOOD_BENCH_PLAIN_DATABASE": url.replace("postgresql://", "postgresql+asyncpg://"),
                "MAKEGOOD_BENCH_PLAIN_KAFKA": options.kafka,
            }
            with _services(folder, environment) as address:
                return peer_attacks(options, folder, address, _bodies, lambda answer: answer.status == 201)


if __name__ == "__main__":
    peer_main(__doc__, lambda options: asyncio.run(_measure(options)), [16, 64, 128])
