"""`makegood load misses`: providers miss sessions at a steady rate; how soon is everything made good?

As many providers as sessions are missed a second book a session each hour, each a little later than the one before. Once a
second booking's development clock moves to the next hour's deadlines, which then come due one after the other as time passes:
each session is found missed by its own deadline, with no request from anybody. With `burst` so many come due at one moment.

Measured from `ProviderMissed` (its time) to `CreditReturned` read from its topic by a consumer, and to the e-mail handed to
SMTP (`delivered_at` of its `MessageDelivered`: the server's answer). How late a deadline was handled is told apart: `found_missed_after_ms`. What is
measured by its own time is read when all is over: reading costs, and the consumer shares the machine with what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_contracts.envelope import MalformedEvent, decode, event_type
from makegood_contracts.events import CreditReturned, MessageDelivered, ProviderMissed
from makegood_contracts.topics import DELIVERIES, LEDGER, SESSIONS
from makegood_devtools.client import Gateway
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population
from makegood_devtools.together import together

from makegood_cli.load.figures import ProcessorTime, milliseconds

GRACE = timedelta(minutes=10)
"""After this much of a session its provider has missed it (MISS-1)."""
_HOURS = 23
_TOLD_BY = frozenset(kind.type for kind in (ProviderMissed, CreditReturned, MessageDelivered))
_PATIENCE = 60.0


@dataclass
class _Timeline:
    """What the topics told, in seconds of real time, by session."""

    expected: set[str]
    ahead: float
    """How far notifications' clock is ahead of real time."""
    missed: dict[str, float] = field(default_factory=dict)
    returned: dict[str, float] = field(default_factory=dict)
    mailed: dict[str, float] = field(default_factory=dict)
    all_returned: asyncio.Event = field(default_factory=asyncio.Event)
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: Any, event_time: float, arrived: float) -> None:
        match event:
            case ProviderMissed(session_id=session):
                self.missed.setdefault(session, event_time)
            case CreditReturned(session_id=session, cause="provider_missed"):
                self.returned.setdefault(session, arrived)
            case MessageDelivered(session_id=str(session), channel="email", template=template) if "missed" in template:
                self.mailed.setdefault(session, event.delivered_at.timestamp() - self.ahead)
        if len(self.returned) >= len(self.expected) and self.expected <= self.returned.keys():
            self.all_returned.set()
            if self.expected <= self.mailed.keys() and self.expected <= self.missed.keys():
                self.whole.set()


async def _book(gateway: Gateway, member: LoadMember, starts: Sequence[datetime]) -> list[str]:
    """Books as the provider, for whom any instant is a start, and whose bookings are confirmed at once (BOOK-5)."""
    provider = gateway.person("provider", member.provider_id)
    sessions = []
    for start in starts:
        body = {
            "room_id": member.room_id,
            "starts_at": start.isoformat(),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "time_zone": "UTC",
        }
        session = await provider.post("/v1/sessions", body, wait=20)
        sessions.append(str(session["id"]))
    return sessions


async def _at_the_end(bootstrap: Brokers, *topics: str) -> AIOKafkaConsumer:
    """A consumer that reads what comes from now on."""
    consumer = AIOKafkaConsumer(
        *topics, **kafka_arguments(bootstrap), fetch_max_wait_ms=100, auto_offset_reset="latest"
    )
    await consumer.start()
    await consumer.seek_to_end()
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))
    return consumer


async def _read(consumer: AIOKafkaConsumer, timeline: _Timeline) -> None:
    while True:
        polled = await consumer.getmany(timeout_ms=100)
        arrived = time.time()
        for records in polled.values():
            for record in records:
                if event_type(record.headers) not in _TOLD_BY:
                    continue  # decoding costs, and this consumer shares the machine with what it measures
                try:
                    received = decode(record.key, record.headers, record.value)
                except MalformedEvent:
                    continue
                timeline.take(received.event, received.time.timestamp(), arrived)


async def measure(
    gateway: Gateway,
    bootstrap: Brokers,
    topic_prefix: str,
    population: Population,
    move_booking_clock: Callable[[datetime], Awaitable[None]],
    *,
    sessions: int,
    burst: int = 1,
    ahead: float = 0.0,
    prepared: Callable[[], None] = lambda: None,
    processes: ProcessorTime | None = None,
) -> dict[str, Any]:
    """Milliseconds from the miss to credit and e-mail. `move_booking_clock` sets booking's product time; `prepared` is called
    when all sessions are booked and confirmed and the misses begin. `ahead`: how many seconds notifications' clock is ahead.

    The rate is the number of members, each with a provider of their own. Raises TimeoutError if not all is made good within
    60 s of the last one.
    """
    members = population.members
    hours = [
        population.first_day + timedelta(days=turn // _HOURS, hours=turn % _HOURS)
        for turn in range(max(1, sessions // len(members)))
    ]

    async def prepare(place: int) -> list[str]:
        after = timedelta(seconds=offsets[place])
        return await _book(gateway, members[place], [hour + after for hour in hours])

    offsets = [place // burst * burst / len(members) for place in range(len(members))]
    booked = await together(16, prepare, range(len(members)))
    expected = {session for ids in booked for session in ids}
    moved: list[float] = []

    timeline = _Timeline(expected, ahead)
    returns = await _at_the_end(bootstrap, topic_prefix + LEDGER.name)
    others = await _at_the_end(bootstrap, topic_prefix + SESSIONS.name, topic_prefix + DELIVERIES.name)
    others.pause(*others.assignment())
    readers = [asyncio.create_task(_read(returns, timeline))]
    try:
        prepared()
        if processes is not None:
            processes.start()
        began = time.monotonic()
        for second, hour in enumerate(hours):
            await asyncio.sleep(max(0.0, began + second - time.monotonic()))
            moved.append(time.time())
            await move_booking_clock(hour + GRACE)
        await asyncio.sleep(max(0.0, began + len(hours) - time.monotonic()))
        elapsed = time.monotonic() - began
        cores = processes.stop() if processes is not None else {}
        async with asyncio.timeout(_PATIENCE):
            await timeline.all_returned.wait()
            others.resume(*others.assignment())
            readers.append(asyncio.create_task(_read(others, timeline)))
            await timeline.whole.wait()
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(returns.stop(), others.stop())
    due = {
        session: moved[second] + offset
        for ids, offset in zip(booked, offsets, strict=True)
        for second, session in enumerate(ids)
    }
    return {
        "scenario": "misses",
        "sessions": len(expected),
        "missed_per_second": round(len(expected) / elapsed, 1),
        "at_once": burst,
        "found_missed_after_ms": milliseconds([timeline.missed[s] - due[s] for s in expected]),
        "credit_returned_ms": milliseconds([timeline.returned[s] - timeline.missed[s] for s in expected]),
        "email_handed_over_ms": milliseconds([timeline.mailed[s] - timeline.missed[s] for s in expected]),
        "all_made_good_ms": milliseconds(
            [max(timeline.returned[s], timeline.mailed[s]) - timeline.missed[s] for s in expected]
        ),
        "cores": cores,
    }
