"""`makegood load misses`: providers miss sessions at a steady rate, to measure how soon everything is made good.

There are as many providers as misses per second. Each has one session an hour, each a little later than the previous
provider's. Once a second, booking's development clock moves to the deadlines of the next hour. They come due one after
another as time passes, so each session is found missed by its own deadline, without a request. With `burst`, that many come
due at the same moment.

Times are measured from `ProviderMissed` (its event time) to the `CreditReturned` that a consumer reads, and to the e-mail's
handover to SMTP (`delivered_at` of its `MessageDelivered`). `found_missed_after_ms` says separately how late the deadlines
were handled. Events that carry their own time are read at the end, because reading takes processor time from the platform.
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
"""How long after the start a session counts as missed (MISS-1)."""
_HOURS = 23
_MEASURED = frozenset(kind.type for kind in (ProviderMissed, CreditReturned, MessageDelivered))
_PATIENCE = 60.0


@dataclass
class _Timeline:
    """When each session's events happened, in seconds of real time."""

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
    """Books as the provider, who may choose any start and whose bookings are confirmed at once (BOOK-5)."""
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
    """A consumer that starts at the end of the topics."""
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
                if event_type(record.headers) not in _MEASURED:
                    continue  # skip decoding, which would take processor time from the platform
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
    move_other_clocks: Callable[[datetime], Awaitable[float]],
    *,
    sessions: int,
    burst: int = 1,
    prepared: Callable[[], None] = lambda: None,
    processes: ProcessorTime | None = None,
) -> dict[str, Any]:
    """Measures milliseconds from the miss to the credit and the e-mail.

    `move_booking_clock` sets booking's product time. `move_other_clocks` sets the others' once, beyond all misses, or they would
    refuse the misses as events of the future; it returns how many seconds notifications' clock is then ahead of real time.
    `prepared` is called when all sessions are confirmed and the misses start.

    The rate is the number of members, each of whom has their own provider. Raises TimeoutError if not everything is made
    good within 60 s of the last miss.
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

    timeline = _Timeline(expected, await move_other_clocks(hours[-1] + GRACE + timedelta(minutes=1)))
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
