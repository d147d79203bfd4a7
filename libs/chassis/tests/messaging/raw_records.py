"""Records that no ordinary producer writes, and that a broker stores all the same."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.record._crc32c import crc as crc32c

Headers = Sequence[tuple[str, bytes | None]]

_CRC_AT, _ATTRIBUTES_AT, _RECORDS_AT = 17, 21, 61


def _sealed(batch: bytearray) -> bytes:
    """With length and checksum of what it holds now."""
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, _CRC_AT, crc32c(bytes(batch[_ATTRIBUTES_AT:])))
    return bytes(batch)


def renamed(batch: bytes, name: bytes, raw: bytes) -> bytes:
    """The batch with other bytes of the same length for a header's name."""
    assert name in batch
    assert len(name) == len(raw)
    return _sealed(bytearray(batch.replace(name, raw)))


def in_snappy(batch: bytes) -> bytes:
    """The batch in a codec that aiokafka lacks: Snappy, one literal."""
    records = batch[_RECORDS_AT:]
    assert 60 < len(records) <= 256
    length = bytes([len(records)]) if len(records) < 128 else bytes([len(records) & 127 | 128, len(records) >> 7])
    made = bytearray(batch[:_RECORDS_AT] + length + bytes([60 << 2, len(records) - 1]) + records)
    made[_ATTRIBUTES_AT + 1] |= 2
    return _sealed(made)


async def write_batch(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[tuple[bytes | None, bytes | None, Headers]],
    change: object = None,
) -> None:  # fmt: skip
    """One batch of records (key, value, headers), its bytes changed by `change`."""
    builder = producer.create_batch()
    for key, value, headers in records:
        assert builder.append(key=key, value=value, timestamp=None, headers=list(headers)) is not None
    builder.close()
    data = bytes(builder._build())
    builder._buffer = bytearray(change(data)) if callable(change) else bytearray(data)
    await (await producer.send_batch(builder, topic, partition=partition))
