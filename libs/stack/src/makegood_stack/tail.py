"""Follows topics with a consumer that has no group, and so does not affect others."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.reading import RecordReader
from makegood_contracts.envelope import MalformedEvent, Received, decode
from makegood_contracts.topics import STATE_TOPICS
from makegood_devtools.errors import UserError

from makegood_stack.topic_state import existing_topics

if TYPE_CHECKING:
    from makegood_chassis.messaging.verification import Verifier

_STATES: Final = frozenset(topic.name for topic in STATE_TOPICS)


@dataclass(frozen=True)
class Seen:
    """A record. `latency` is the time in seconds from the event to its arrival here."""

    topic: str
    partition: int
    offset: int
    key: str
    type: str
    time: str
    latency: float | None
    id: str
    correlation_id: str
    causation_id: str
    sequence: str
    payload: Any
    malformed: str | None = None
    signature: str | None = None
    """`genuine`, or what is wrong with the signature; None if it was not checked."""
    received: Received[Any] | None = None
    """The event; None if the record is malformed, or a tombstone on a state topic."""

    @property
    def fact(self) -> str:
        """The event's short name, such as `SessionRequested`."""
        pieces = self.type.split(".")
        return pieces[2] if len(pieces) >= 4 else self.type or "?"

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "received"}


def seen(record: ConsumerRecord[bytes, bytes], prefix: str = "", verifier: Verifier | None = None) -> Seen:
    """Decodes a record. A malformed one is kept, with the reason."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    malformed = None
    payload: Any = None
    received = None
    topic = record.topic.removeprefix(prefix)
    try:
        if record.value is not None or topic not in _STATES:
            received = decode(record.key, record.headers, record.value)
            payload = msgspec.to_builtins(received.event)
    except MalformedEvent as error:
        malformed = str(error)
        try:
            payload = msgspec.json.decode(record.value or b"null")
        except (msgspec.DecodeError, RecursionError, ValueError):
            payload = (record.value or b"").decode(errors="replace")
    latency = None
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        latency = (datetime.now(UTC) - datetime.fromisoformat(headers.get("ce_time", ""))).total_seconds()
    refusal = None if verifier is None else verifier.check(topic, record.key, record.headers, record.value)
    return Seen(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        type=headers.get("ce_type", ""),
        time=headers.get("ce_time", ""),
        latency=latency,
        id=headers.get("ce_id", ""),
        correlation_id=headers.get("ce_correlationid", ""),
        causation_id=headers.get("ce_causationid", ""),
        sequence=headers.get("ce_sequence", ""),
        payload=payload,
        malformed=malformed,
        signature=None if verifier is None else refusal or "genuine",
        received=received,
    )


class Tail:
    """A consumer at the end (or the beginning) of topics. Use as `async with`, then iterate.

    `wait_ms`: how long the broker may wait for more records before it answers.
    """

    def __init__(
        self,
        bootstrap: Brokers,
        topics: Sequence[str],
        *,
        prefix: str = "",
        from_beginning: bool = False,
        wait_ms: int = 50,
        verifier: Verifier | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = [prefix + t for t in topics]
        self._prefix = prefix
        self._from_beginning = from_beginning
        self._wait_ms = wait_ms
        self._verifier = verifier
        self._consumer: AIOKafkaConsumer[bytes, bytes] | None = None

    async def __aenter__(self) -> Tail:
        try:
            existing = await existing_topics(self._bootstrap, self._topics)
            if not existing:
                raise UserError("none of these topics exists yet. Create them with: makegood up")
            consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
                *existing,
                **kafka_arguments(self._bootstrap),
                group_id=None,
                enable_auto_commit=False,
                fetch_max_wait_ms=self._wait_ms,
                auto_offset_reset="earliest" if self._from_beginning else "latest",
            )
            self._consumer = consumer
            await consumer.start()
            # Fix the positions now, so that no later event is missed.
            self._reader = RecordReader(consumer)
            await self._reader.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise UserError(
                f"Kafka at {self._bootstrap} does not answer ({error}). Start it with: makegood up"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def batch(self, timeout_ms: int = 200) -> list[Seen]:
        """The next records, at most a few hundred. Waits up to `timeout_ms` for the first."""
        if self._consumer is None:
            raise RuntimeError("use `async with`")
        polled = await self._reader.poll(timeout_ms=timeout_ms, max_records=500)
        records = [r for part in polled.records.values() for r in part]
        return [seen(r, self._prefix, self._verifier) for r in sorted(records, key=lambda r: r.timestamp)]

    async def __aiter__(self) -> AsyncIterator[Seen]:
        while True:
            for item in await self.batch():
                yield item
