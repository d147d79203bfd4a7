"""Sends the states of what has changed. It runs beside the relay, in the process that has the relay's lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
from makegood_contracts.envelope import EXAMPLE_BASE_URL, Cause, encode, encode_tombstone
from makegood_contracts.ids import new_id

from makegood_chassis import metrics, observe
from makegood_chassis.database import Database, PublishedRow, Queries
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.messaging.lease import Lease
from makegood_chassis.real_time import utc_now
from makegood_chassis.states.erasure import ERASED
from makegood_chassis.states.source import StateSource

if TYPE_CHECKING:
    from makegood_chassis.messaging.signatures import Signer
    from makegood_chassis.service import Service

_TAKE: Final = """
SELECT topic, key, max(id), array_agg(id) FROM (
    SELECT id, topic, key FROM state_changes WHERE topic <> ALL($2::text[]) ORDER BY id LIMIT $1
) AS oldest GROUP BY topic, key
"""
_DELETE: Final = """
DELETE FROM state_changes WHERE id = ANY($1::bigint[])
AND EXISTS (SELECT FROM leases WHERE name = $2 AND holder = $3 AND fence = $4)
"""
_BATCH: Final = 300
_POLL: Final = 2.0
"""Seconds after which the table is looked at, whether or not this process has committed anything."""
_PAUSE: Final = 0.5
"""Seconds for which changes wait for later ones: a session that is requested and reserved is sent once."""
_log = structlog.get_logger(__name__)


class StatePublisher:
    """`lead(lease)` sends while the lease is held. `watch`: the database whose commits wake it. `pause`: seconds for which changes
    wait for later ones."""

    def __init__(
        self,
        database: Database,
        producer: BatchProducer,
        sources: Sequence[StateSource],
        *,
        watch: Database,
        base_url: str = EXAMPLE_BASE_URL,
        pause: float = _PAUSE,
    ) -> None:
        self._database = database
        self._producer = producer
        self._sources = {source.topic: source for source in sources}
        self._base_url = base_url
        self._pause = pause
        self._blocked: set[str] = set()
        """Topics that the broker did not take just now. The others go on."""
        self._news = asyncio.Event()
        watch.on_publish.append(lambda _: self._news.set())

    async def lead(self, lease: Lease) -> None:
        """Sends states until cancelled, or until the lease is lost. An error is noted, and all is tried again: the changes stay in
        the table until the broker has them."""
        try:
            while lease.held:
                self._news.clear()
                taken = 0
                try:
                    taken = await self.turn(lease)
                except Exception as error:
                    metrics.COMPONENT_RESTARTS.labels("states", type(error).__name__).inc()
                    known = is_transient(error)
                    _log.warning(
                        "states not sent", error=type(error).__name__, frames=[] if known else observe.frames(error)
                    )
                if taken < _BATCH:
                    self._blocked.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_POLL):
                            await self._news.wait()
                    await asyncio.sleep(self._pause)
        finally:
            await self._producer.close()

    async def turn(self, lease: Lease) -> int:
        """Sends a batch. Returns how many changes it took up."""
        async with self._database.reading() as queries:
            found = await queries.fetch(_TAKE, _BATCH, list(self._blocked))
            changes: dict[str, dict[str, int]] = {}
            for topic, key, number, _ in found:
                changes.setdefault(topic, {})[key] = number
            for person_id in changes.pop(ERASED, {}):
                for source in self._sources.values():
                    await source.mark_person(queries, person_id)
            rows = [
                row
                for topic, numbers in changes.items()
                for row in await self._rows(self._sources[topic], numbers, queries)
            ]
        if not found or not lease.held:
            return 0
        kept = {row.id for row in rows}
        if rows:
            outcome = await self._producer.send(rows)
            kept -= set(outcome.sent)
            for topic, count in outcome.per_topic.items():
                metrics.PUBLISHED.labels(topic).inc(count)
            for topic, failure in outcome.failed.items():
                metrics.RELAY_FAILURES.labels(type(failure).__name__).inc()
                _log.warning("states of a topic not sent", topic=topic, error=type(failure).__name__)
                self._blocked.add(topic)
        done = [one for _, _, number, ids in found if number not in kept for one in ids]
        async with self._database.reading() as queries:
            await queries.execute(_DELETE, done, lease.name, lease.holder, lease.fence)
        return sum(len(ids) for *_, ids in found)

    async def _rows(self, source: StateSource, numbers: Mapping[str, int], queries: Queries) -> list[PublishedRow]:
        """The present states as records. `numbers`: of each key the newest of its changes, which is at most as new as its state."""
        states = await source.read(queries, list(numbers))
        now, cause = utc_now(), Cause(turn := new_id(), turn)
        rows = []
        for key, number in numbers.items():
            state = states.get(key)
            if state is None:
                record = encode_tombstone(
                    source.kind, key, sequence=number, cause=cause, time=now, base_url=self._base_url
                )
            else:
                record = encode(state, sequence=number, cause=cause, time=now, base_url=self._base_url)
            rows.append(PublishedRow(number, record, number, now))
        return rows


def publishing(
    service: Service[Any], database: Database, process: str, signer: Signer | None
) -> Callable[[Lease], Coroutine[None, None, None]] | None:
    """What publishes the service's states while this process leads; None if it has none."""
    if not service.states:
        return None
    settings = service.settings
    producer = BatchProducer(
        settings.kafka, prefix=settings.kafka_topic_prefix, client_id=f"{process}-states", signer=signer
    )
    base_url = settings.public_base_url.rstrip("/") or EXAMPLE_BASE_URL
    return StatePublisher(database, producer, service.states, watch=service.database, base_url=base_url).lead
