"""A connection to a broker that was lost in this moment is an error that passes by itself, on uvloop too (REL-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from makegood_chassis.kafka_connection import kafka_arguments


async def _send_after(servers: str, turns: int) -> None:
    """Sends so many turns of the event loop after the connection was lost."""
    host, port = servers.rsplit(":", 1)
    connection = AIOKafkaConnection(host, int(port))
    await connection.connect()
    connection._writer.transport.abort()
    for _ in range(turns):
        await asyncio.sleep(0)
    try:
        answer: Awaitable[object] = connection.send(MetadataRequest([]))
        await answer
    finally:
        connection.close()


@pytest.mark.rule("REL-9")
@pytest.mark.parametrize("turns", range(5))
def test_whoever_sends_on_a_lost_connection_gets_kafkas_error(kafka_servers: str, turns: int) -> None:
    kafka_arguments(kafka_servers)
    with pytest.raises(KafkaConnectionError):
        uvloop.run(_send_after(kafka_servers, turns))
