"""The role `fill-states`: publishes the state of everything that was there before its state topic was.

It marks page by page what the service has, and the relay's process sends it. That always sends the present row, so the service may
run meanwhile, and nothing newer is replaced. Started again after it was interrupted, it goes on; after its end, from the beginning.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from makegood_contracts.envelope import Cause, MalformedEvent, decode, event_type
from makegood_contracts.events import PersonErased
from makegood_contracts.topics import PEOPLE

from makegood_chassis.database import Database
from makegood_chassis.kafka_connection import kafka_arguments
from makegood_chassis.messaging.event_keys import EventKeys
from makegood_chassis.messaging.reading import RecordReader
from makegood_chassis.messaging.verification import Verifier
from makegood_chassis.service import Service
from makegood_chassis.states.erasure import erase_states
from makegood_chassis.states.source import StateSource

_PAGE: Final = 1000
_WAITING: Final = 5000
"""So many changes may wait to be sent: what the service changes meanwhile has to wait behind them."""
_COUNT: Final = f"SELECT count(*) FROM (SELECT FROM state_changes LIMIT {_WAITING}) AS waiting"  # noqa: S608 (a constant)
_BEGIN: Final = """
INSERT INTO state_fills AS fill (topic, after_key, done) VALUES ($1, $2, false)
ON CONFLICT (topic) DO UPDATE SET after_key = CASE WHEN fill.done THEN $2 ELSE fill.after_key END, done = false
RETURNING after_key
"""
_NOTE: Final = "UPDATE state_fills SET after_key = $2, done = $3 WHERE topic = $1"
_FIRST: Final = {"uuid": "00000000-0000-0000-0000-000000000000", "text": ""}
_log = structlog.get_logger(__name__)


async def fill(service: Service[Any]) -> None:
    """Marks everything once. Raises what the servers answer; then start it again."""
    await service.database.open()
    try:
        if PersonErased in service.events:
            await _learn_erasures(service)
        for source in service.states:
            await _fill(service.database, source)
    finally:
        await service.database.close()


async def _fill(database: Database, source: StateSource) -> None:
    async with database.transaction(Cause.begin()) as unit:
        after = await unit.fetch_value(_BEGIN, source.topic, _FIRST[source.key_type])
    marked, full = 0, True
    while full:
        await _room(database)
        async with database.transaction(Cause.begin()) as unit:
            count, after = await source.mark_page(unit, after, _PAGE)
            full = count == _PAGE
            await unit.execute(_NOTE, source.topic, after, not full)
        marked += count
        if full and marked % (20 * _PAGE) == 0:
            _log.info("marking states", topic=source.topic, marked=marked)
    _log.info("all states marked", topic=source.topic, marked=marked)


async def _room(database: Database) -> None:
    """Waits until not too many changes wait to be sent."""
    told = False
    while True:
        async with database.reading() as queries:
            if await queries.fetch_value(_COUNT) < _WAITING:
                return
        if not told:
            told = True
            _log.info("waiting until the role work has sent what is marked")
        await asyncio.sleep(0.1)


async def _learn_erasures(service: Service[Any]) -> None:
    """Notes who was erased before states were published: their events may have been handled by an earlier release."""
    settings = service.settings
    url, topic = settings.event_keys_url, settings.kafka_topic_prefix + PEOPLE.name
    verifier = Verifier(EventKeys(url, settings.jwks_ca_file)) if url else None
    if verifier is not None:
        await verifier.keys.ensure()
    consumer: Any = AIOKafkaConsumer(
        topic,
        **kafka_arguments(settings.kafka),
        client_id=f"makegood-{service.name}-fill",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    people: set[str] = set()
    async with AsyncExitStack() as stack:
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        ends = await consumer.end_offsets(consumer.assignment())
        reader = RecordReader(consumer)
        await reader.start()
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            polled = await reader.poll(timeout_ms=500, max_records=1000)
            for record in (one for records in polled.records.values() for one in records):
                if event_type(record.headers) != PersonErased.type:
                    continue
                if verifier is not None and verifier.check(PEOPLE.name, record.key, record.headers, record.value):
                    continue
                try:
                    received = decode(record.key, record.headers, record.value)
                except MalformedEvent:
                    continue
                assert isinstance(received.event, PersonErased)
                people.add(received.event.person_id)
    async with service.database.transaction(Cause.begin()) as unit:
        await erase_states(unit, list(people))
    _log.info("erasures noted", people=len(people))
