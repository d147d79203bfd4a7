"""`makegood load misses`: providers miss sessions at a steady rate; how soon is everything made good?

Sessions are booked and confirmed first. Then booking's development clock moves from one slot to the next, ten times a second,
so that with each step one session of every provider is found missed by its deadline, with no request from anybody.
Measured from `ProviderMissed` (its time) to `CreditReturned` read from its topic by a consumer, and to the e-mail handed to
SMTP (the time of its `MessageDelivered`). What is measured by its own time is read when all is over: reading costs, and the
consumer shares the machine with what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer
from makegood_contracts.envelope import MalformedEvent, decode, event_type
from makegood_contracts.events import CreditReturned, MessageDelivered, ProviderMissed
from makegood_contracts.topics import DELIVERIES, LEDGER, SESSIONS

from makegood_cli.client import Gateway, Person
from makegood_cli.load.figures import milliseconds
from makegood_cli.load.seeding import LENGTH_MINUTES, LoadMember, Population
from makegood_cli.load.together import together

GRACE = timedelta(minutes=10, seconds=1)
STEPS_A_SECOND = 10
_TOLD_BY = frozenset(kind.type for kind in (ProviderMissed, CreditReturned, MessageDelivered))
_PATIENCE = 60.0


@dataclass
class _Timeline:
    """What the topics told, in seconds of real time, by session."""

    expected: set[str]
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
                self.mailed.setdefault(session, event_time)
        if len(self.returned) >= len(self.expected) and self.expected <= self.returned.keys():
            self.all_returned.set()
            if self.expected <= self.mailed.keys() and self.expected <= self.missed.keys():
                self.whole.set()


async def _book_and_confirm(gateway: Gateway, member: LoadMember, turns: range, first_day: datetime) -> list[str]:
    person = Person(gateway.http, "member", member.subject, member.token)
    provider = gateway.person("provider", member.provider_id)
    sessions = []
    for turn in turns:
        body = {
            "room_id": member.room_id,
            "starts_at": member.slot(turn, first_day).isoformat(),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "time_zone": "UTC",
        }
        session = await person.post("/v1/sessions", body, wait=20)
        await provider.post(f"/v1/sessions/{session['id']}/confirm")
        sessions.append(str(session["id"]))
    return sessions


async def _at_the_end(bootstrap: str, *topics: str) -> AIOKafkaConsumer:
    """A consumer that reads what comes from now on."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, fetch_max_wait_ms=100, auto_offset_reset="latest")
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
    bootstrap: str,
    topic_prefix: str,
    population: Population,
    move_booking_clock: Callable[[datetime], Awaitable[None]],
    *,
    sessions: int,
    prepared: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Milliseconds from the miss to credit and e-mail. `move_booking_clock` sets booking's product time; `prepared` is called
    when all sessions are booked and confirmed and the misses begin.

    The rate is the number of providers times ten a second. Raises TimeoutError if not all is made good within 60 s of the
    last step.
    """
    members = population.members
    turns = max(1, sessions // len(members))

    async def prepare(member: LoadMember) -> list[str]:
        return await _book_and_confirm(gateway, member, range(turns), population.first_day)

    booked = await together(16, prepare, members)
    expected = {session for ids in booked for session in ids}
    starts = sorted({member.slot(turn, population.first_day) for member in members for turn in range(turns)})

    timeline = _Timeline(expected)
    returns = await _at_the_end(bootstrap, topic_prefix + LEDGER.name)
    others = await _at_the_end(bootstrap, topic_prefix + SESSIONS.name, topic_prefix + DELIVERIES.name)
    others.pause(*others.assignment())
    readers = [asyncio.create_task(_read(returns, timeline))]
    try:
        prepared()
        began = time.monotonic()
        for step, start in enumerate(starts):
            due = began + step / STEPS_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await move_booking_clock(start + GRACE)
        elapsed = time.monotonic() - began
        async with asyncio.timeout(_PATIENCE):
            await timeline.all_returned.wait()
            others.resume(*others.assignment())
            readers.append(asyncio.create_task(_read(others, timeline)))
            await timeline.whole.wait()
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(returns.stop(), others.stop())
    return {
        "scenario": "misses",
        "sessions": len(expected),
        "missed_per_second": round(len(expected) / elapsed, 1),
        "credit_returned_ms": milliseconds([timeline.returned[s] - timeline.missed[s] for s in expected]),
        "email_handed_over_ms": milliseconds([timeline.mailed[s] - timeline.missed[s] for s in expected]),
        "all_made_good_ms": milliseconds(
            [max(timeline.returned[s], timeline.mailed[s]) - timeline.missed[s] for s in expected]
        ),
    }
