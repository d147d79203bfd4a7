"""What the topics say: every entity's events without a gap, in order, and in agreement with the databases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from makegood_contracts.envelope import MalformedEvent, decode
from makegood_contracts.events import CreditHeld, CreditReturned, InvoiceVoided, ProviderMissed, SlotHeld
from makegood_contracts.topics import EVENT_TOPICS

from makegood_cli.audit.snapshot import Snapshot
from makegood_cli.errors import UserError


@dataclass
class TopicWitness:
    """What was read from the beginning to the end of all event topics."""

    events: int = 0
    duplicates: int = 0
    malformed: int = 0
    highest: dict[tuple[str, str], int] = field(default_factory=dict)
    """Highest sequence by topic and key."""
    disorders: list[str] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=dict)
    """The version of each session that its last event tells."""
    missed: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    made_good: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _seen: set[str] = field(default_factory=set)

    def take(self, topic: str, key: str, headers: Any, value: bytes | None) -> None:
        try:
            received = decode(key.encode(), headers, value)
        except MalformedEvent:
            self.malformed += 1
            return
        self.events += 1
        if received.id in self._seen:
            self.duplicates += 1
            return
        self._seen.add(received.id)
        before = self.highest.get((topic, key))
        if before is not None and received.sequence != before + 1:
            self.disorders.append(f"{topic}, key {key}: sequence {received.sequence} follows {before}")
        self.highest[topic, key] = max(received.sequence, before or 0)
        event = received.event
        if topic.endswith("booking.sessions.v1"):
            self.sessions[key] = received.sequence
        match event:
            case ProviderMissed():
                self.missed.add(event.session_id)
            case CreditHeld():
                self.held.add(event.session_id)
            case SlotHeld():
                self.slots.add(event.session_id)
            case CreditReturned(cause="provider_missed", session_id=session):
                self.made_good[session] += 1
            case InvoiceVoided(cause="provider_missed", session_id=str(session)):
                self.made_good[session] += 1


async def read(bootstrap: str, prefix: str) -> TopicWitness:
    """Reads all event topics as far as they go now. Raises UserError if the broker does not answer."""
    witness = TopicWitness()
    topics = [prefix + topic.name for topic in EVENT_TOPICS]
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        fetch_max_bytes=32 << 20,
        max_partition_fetch_bytes=4 << 20,
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()
        raise UserError(
            f"Kafka at {bootstrap} does not answer ({type(error).__name__}); is it up? makegood up"
        ) from error
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        unread = {partition for partition, end in ends.items() if end > 0}
        while unread:
            polled = await consumer.getmany(timeout_ms=200, max_records=5000)
            for partition, records in polled.items():
                for record in records:
                    if record.offset < ends[partition]:
                        topic = record.topic.removeprefix(prefix)
                        witness.take(topic, (record.key or b"").decode(), record.headers, record.value)
            for partition in list(unread):
                if await consumer.position(partition) >= ends[partition]:
                    unread.discard(partition)
    finally:
        await consumer.stop()
    return witness


def against(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """Violations that show only when topics and databases are laid side by side (REL-6)."""
    yield from witness.disorders
    if witness.malformed:
        yield f"{witness.malformed} records are no events of the contracts"
    for session in data.sessions:
        told = witness.sessions.get(session["id"], 0)
        if told < session["version"]:
            yield f"session {session['id']} is at version {session['version']}, its topic at {told}"
    known = {row["id"] for row in data.sessions}
    for session_id in sorted(witness.sessions.keys() - known):
        yield f"the topic knows session {session_id}, booking does not"
    for session_id in sorted(witness.missed & witness.held):
        if witness.made_good[session_id] != 1:
            yield f"session {session_id} was missed and made good {witness.made_good[session_id]} times"
