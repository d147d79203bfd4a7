"""Reads all event topics from the beginning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.reading import RecordReader
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.events import (
    EVENT_TYPES,
    AccessRecordedFact,
    CreditHeld,
    CreditReturned,
    Event,
    InvoiceIssued,
    InvoiceVoided,
    MessageDelivered,
    MessageFailed,
    ProviderMissed,
    SessionCancelled,
    SessionExtended,
    SessionExtensionRefused,
    SessionExtensionRequested,
    SessionMoved,
    SessionMoveRefused,
    SessionMoveRequested,
    SlotHeld,
    SlotReleased,
    WaitlistCandidateJudged,
    WaitlistOffered,
)
from makegood_contracts.topics import EVENT_TOPICS
from makegood_devtools.errors import UserError

_REQUIRED = frozenset({"ce_specversion", "ce_source", "ce_time", "ce_correlationid", "ce_causationid"})
"""Headers that every event has in addition to type, id and sequence."""


@cache
def _decoder(kind: type[Event]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class RecordedAccess(NamedTuple):
    """The copy of an access log row on its topic, with hashes in hex."""

    row_id: int
    row_hash: str
    hash: str


@dataclass
class TopicWitness:
    """What was read from the event topics. Topic names are without the stack's prefix."""

    events: int = 0
    duplicates: int = 0
    malformed: int = 0
    forged: int = 0
    """Records without a valid signature of the topic's owner. They are not read further."""
    withdrawn: frozenset[str] = frozenset()
    """Ids of events that are passed over: a restore withdrew them."""
    passed_over: int = 0
    cut: set[str] = field(default_factory=set)
    """Topics that retention has already shortened."""
    last: dict[str, dict[str, int]] = field(default_factory=lambda: {topic.name: {} for topic in EVENT_TOPICS})
    """Highest sequence of each key, by topic."""
    headless: list[tuple[str, str, int]] = field(default_factory=list)
    """Topic, key and sequence of first events that do not have sequence 1."""
    disorders: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    """Sessions that the provider missed."""
    cancelled: dict[str, bool] = field(default_factory=dict)
    """Cancelled sessions, and whether the credit was forfeited."""
    cancelled_by_others: set[str] = field(default_factory=set)
    """Sessions that were not cancelled by the member's own choice."""
    credit_held: set[str] = field(default_factory=set)
    slot_held: set[str] = field(default_factory=set)
    slot_released: Counter[str] = field(default_factory=Counter)
    came_back: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The cause of each return of a session's credit or voiding of its co-pay."""
    moves_asked: dict[str, str] = field(default_factory=dict)
    """The session of each requested move or extension."""
    moves_answered: Counter[str] = field(default_factory=Counter)
    could_book: set[str] = field(default_factory=set)
    """Waitlist proposals that the candidate could book, according to booking."""
    proposals_offered: dict[str, str] = field(default_factory=dict)
    """The waitlist entry of each proposal that became an offer."""
    delivered: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    """Deliveries that were published as failed."""
    accesses: dict[str, dict[int, RecordedAccess]] = field(default_factory=lambda: defaultdict(dict))
    """The copy of each service's access log, by seal number."""
    _extensions: set[str] = field(default_factory=set)
    """Invoices of extensions (EXT-1)."""
    _seen: set[str] = field(default_factory=set)

    def take(self, topic: str, key: bytes | None, headers: Iterable[tuple[str, bytes]], value: bytes | None) -> None:
        """Takes in one record. Only the payload and the headers needed are decoded, which takes a third of the time."""
        attributes = dict(headers)
        try:
            kind = EVENT_TYPES[attributes["ce_type"].decode()]
            event_id = attributes["ce_id"].decode()
            sequence = int(attributes["ce_sequence"])
            entity = (key or b"").decode()
            event = _decoder(kind).decode(value or b"")
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError):
            self.malformed += 1
            return
        if kind.topic.name != topic or event.key != entity or not attributes.keys() >= _REQUIRED:
            self.malformed += 1
            return
        if event_id in self.withdrawn:
            self.passed_over += 1
            return
        self.events += 1
        if event_id in self._seen:
            self.duplicates += 1
            return
        self._seen.add(event_id)
        self._follow(topic, entity, sequence)
        self._remember(event)

    def _follow(self, topic: str, key: str, sequence: int) -> None:
        last = self.last[topic]
        before = last.get(key)
        if before is None:
            if sequence != 1:
                self.headless.append((topic, key, sequence))
        elif sequence != before + 1:
            self.disorders.append(f"{topic}, key {key}: sequence {sequence} follows {before}")
        last[key] = max(sequence, before or 0)

    def _remember(self, event: Event) -> None:
        match event:
            case AccessRecordedFact():
                self.accesses[event.chain][event.number] = RecordedAccess(event.row_id, event.row_hash, event.hash)
            case ProviderMissed():
                self.missed.add(event.session_id)
            case SessionCancelled():
                self.cancelled[event.session_id] = event.forfeits
                if event.cancelled_by != "member" or event.cause != "asked" or event.caused_by_provider:
                    self.cancelled_by_others.add(event.session_id)
            case SessionMoveRequested() | SessionExtensionRequested():
                self.moves_asked[event.move_id] = event.session_id
            case SessionMoved() | SessionMoveRefused() | SessionExtended() | SessionExtensionRefused():
                self.moves_answered[event.move_id] += 1
            case CreditHeld():
                self.credit_held.add(event.session_id)
            case SlotHeld():
                self.slot_held.add(event.session_id)
            case SlotReleased():
                self.slot_released[event.session_id] += 1
            case InvoiceIssued(about="extension"):
                self._extensions.add(event.invoice_id)
            case InvoiceVoided() if event.invoice_id in self._extensions:
                pass  # charged in addition to the session's price
            case CreditReturned(session_id=session, cause=cause) | InvoiceVoided(session_id=str(session), cause=cause):
                self.came_back[session].append(cause)
            case WaitlistCandidateJudged(reasons=()):
                self.could_book.add(event.proposal_id)
            case WaitlistOffered(proposal_id=str(proposal)):
                self.proposals_offered[proposal] = event.entry_id
            case MessageDelivered():
                self.delivered.add(event.delivery_id)
            case MessageFailed():
                self.failed.add(event.delivery_id)


class Reader:
    """Follows all event topics from the beginning. Each call of `catch_up` continues where the last one ended."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str, verifier: Verifier | None = None) -> None:
        self._consumer = consumer
        self._verifier = verifier
        self._prefix = prefix
        self.witness = TopicWitness()

    async def catch_up(self) -> TopicWitness:
        """Reads to the present end of the topics. Raises UserError if the broker stops answering."""
        try:
            partitions = list(self._consumer.assignment())
            beginnings = await self._consumer.beginning_offsets(partitions)
            self.witness.cut |= {self._name(partition) for partition, offset in beginnings.items() if offset > 0}
            await self._read_until(await self._consumer.end_offsets(partitions))
        except KafkaError as error:
            raise UserError(f"Kafka stopped answering while the topics were read ({type(error).__name__})") from error
        return self.witness

    async def _read_until(self, ends: dict[TopicPartition, int]) -> None:
        take = self.witness.take
        reader = RecordReader(self._consumer)
        await reader.start()
        unread = set(ends)
        while unread:
            for partition in list(unread):
                if await self._consumer.position(partition) >= ends[partition]:
                    unread.discard(partition)
            if not unread:
                break
            polled = await reader.poll(*unread, timeout_ms=200, max_records=5000)
            self.witness.malformed += sum(one.last - one.first + 1 for one in polled.unreadable)
            for partition, records in polled.records.items():
                topic = self._name(partition)
                for record in records:
                    if self._verifier is not None and self._forged(self._verifier, topic, record):
                        self.witness.forged += 1
                        continue
                    take(topic, record.key, record.headers, record.value)

    def _forged(self, verifier: Verifier, topic: str, record: ConsumerRecord) -> bool:
        """Whether the record lacks a valid signature. Every release that publishes keys also signs all events."""
        return verifier.check(topic, record.key, record.headers, record.value) is not None

    def _name(self, partition: TopicPartition) -> str:
        return str(partition.topic).removeprefix(self._prefix)


@asynccontextmanager
async def reading(bootstrap: Brokers, prefix: str, verifier: Verifier | None = None) -> AsyncIterator[Reader]:
    """A reader of the stack's topics. With a `verifier`, forged events are skipped, as services do.

    Raises UserError if the broker does not answer.
    """
    consumer = AIOKafkaConsumer(
        *(prefix + topic.name for topic in EVENT_TOPICS),
        **kafka_arguments(bootstrap),
        auto_offset_reset="earliest",
        # With hardly any new events, this makes `catch_up` take 30 ms instead of half a second.
        fetch_max_wait_ms=10,
        fetch_max_bytes=32 << 20,
        max_partition_fetch_bytes=1 << 20,
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()
        raise UserError(
            f"Kafka at {bootstrap} does not answer ({type(error).__name__}). Start it with: makegood up"
        ) from error
    try:
        yield Reader(consumer, prefix, verifier)
    finally:
        await consumer.stop()
