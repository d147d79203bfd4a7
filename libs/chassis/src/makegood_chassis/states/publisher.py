"""Sends the states of what has changed. It runs beside the relay, in the process that has the relay's lease.

What may be on its way to the broker from an earlier leader, or from a request that was not answered, could arrive after a newer
state and stay. So whatever was marked by then is sent once more, after a time in which such a request has ended. A leader that
finds out late that it was replaced marks again what it sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
from makegood_contracts.envelope import EXAMPLE_BASE_URL, Cause, encode, encode_tombstone
from makegood_contracts.ids import new_id

from makegood_chassis import metrics, observe
from makegood_chassis.database import Database, PublishedRow, Queries
from makegood_chassis.messaging.batch_producer import TOPIC_TROUBLE, BatchProducer
from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.messaging.lease import Lease
from makegood_chassis.real_time import utc_now
from makegood_chassis.states.erasure import ERASED
from makegood_chassis.states.source import StateSource

if TYPE_CHECKING:
    from makegood_chassis.messaging.signatures import Signer
    from makegood_chassis.service import Service

_TAKE: Final = """
SELECT topic, key, array_agg(id), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM (
    SELECT id, topic, key FROM state_changes WHERE id > $2 AND topic <> ALL($3::text[]) ORDER BY id LIMIT $1
) AS oldest GROUP BY topic, key
"""
_NEWEST: Final = "SELECT coalesce(max(id), 0) FROM state_changes"
_SETTLE: Final = """
WITH leads AS (SELECT FROM leases WHERE name = $2 AND holder = $3 AND fence = $4),
gone AS (DELETE FROM state_changes WHERE id = ANY($1::bigint[]) AND EXISTS (SELECT FROM leads))
INSERT INTO state_changes (topic, key)
SELECT topic, key FROM unnest($5::text[], $6::text[]) AS sent (topic, key) WHERE NOT EXISTS (SELECT FROM leads)
"""
"""Deletes what the broker has. If somebody else leads by now, it marks what was sent, so that the leader sends it after us."""
_BATCH: Final = 300
_PAUSE: Final = 1.0
"""Seconds for which changes wait for later ones: a session that is requested and reserved is sent once."""
_RETRY: Final = 2.0
_ACK_TIMEOUT: Final = 10.0
_DOUBT: Final = 40.0
"""Seconds in which a request that was not answered may still reach the broker: longer than a producer tries."""
_log = structlog.get_logger(__name__)


class StatePublisher:
    """`lead(lease)` sends while the lease is held. `watch`: the database whose commits wake it. `pause`: seconds for which changes
    wait for later ones. `doubt`: seconds in which a request that was not answered may still reach the broker."""

    question: Final = "EXISTS (SELECT FROM state_changes)"
    """SQL: whether there is something to send. What other processes changed is found so."""

    def __init__(
        self,
        database: Database,
        producer: BatchProducer,
        sources: Sequence[StateSource],
        *,
        watch: Database,
        base_url: str = EXAMPLE_BASE_URL,
        pause: float = _PAUSE,
        doubt: float = _DOUBT,
    ) -> None:
        self._database = database
        self._producer = producer
        self._sources = {source.topic: source for source in sources}
        self._base_url = base_url
        self._pause = pause
        self._doubt = doubt
        self._doubtful = 0
        """Changes up to this id may be on their way in a request that was not answered. They are sent, and kept."""
        self._doubtful_until = 0.0
        self._passed = 0
        """Of these, those up to this id were sent."""
        self._number = 0
        """The last record's. Records are numbered by the database's real time, which is the same for all leaders and goes on when
        a backup is restored."""
        self._blocked: set[str] = set()
        """Topics that the broker did not take just now. The others go on."""
        self._news = asyncio.Event()
        watch.on_publish.append(lambda _: self.wake())

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    async def lead(self, lease: Lease) -> None:
        """Sends states until cancelled, or until the lease is lost. An error is noted, and all is tried again: the changes stay in
        the table until the broker has them."""
        self._doubtful, self._passed, begun = 0, 0, False
        self._news.set()
        try:
            while lease.held:
                self._news.clear()
                taken, well = 0, False
                try:
                    if not begun:
                        await self._begin()
                        begun = True
                    taken = await self.turn(lease)
                    well = not self._blocked
                except Exception as error:
                    metrics.COMPONENT_RESTARTS.labels("states", type(error).__name__).inc()
                    known = is_transient(error)
                    _log.warning(
                        "states not sent", error=type(error).__name__, frames=[] if known else observe.frames(error)
                    )
                if taken < _BATCH:
                    self._blocked.clear()
                    if well:
                        await self._news.wait()
                    await asyncio.sleep(self._pause if well else _RETRY)
        finally:
            await self._producer.close()

    async def _begin(self) -> None:
        """What is marked now may be on its way from the leader before."""
        async with self._database.reading() as queries:
            self._doubt_up_to(await queries.fetch_value(_NEWEST))

    def _doubt_up_to(self, number: int) -> None:
        self._doubtful, self._passed = max(self._doubtful, number), 0
        self._doubtful_until = time.monotonic() + self._doubt

    async def turn(self, lease: Lease) -> int:
        """Sends a batch. Returns how many changes it took up."""
        if self._doubtful and time.monotonic() >= self._doubtful_until:
            self._doubtful = self._passed = 0
        async with self._database.reading() as queries:
            found = await queries.fetch(_TAKE, _BATCH, self._passed, list(self._blocked))
            if not found:
                return 0
            changes: dict[str, list[str]] = {}
            for topic, key, _, now in found:
                self._number = max(self._number, now)
                changes.setdefault(topic, []).append(key)
            for person_id in changes.pop(ERASED, []):
                for source in self._sources.values():
                    await source.mark_person(queries, person_id)
        await self._producer.open()
        async with self._database.reading() as queries:
            rows = [
                row for topic, keys in changes.items() for row in await self._rows(self._sources[topic], keys, queries)
            ]
        if not lease.held:
            return 0
        unsent = await self._send(rows, found, lease) if rows else set()
        ids = [one for topic, key, every, _ in found if (topic, key) not in unsent for one in every]
        await self._settle([one for one in ids if one > self._doubtful], rows, lease)
        if self._doubtful and not unsent:
            self._passed = max(self._passed, *(one for *_, every, _ in found for one in every))
        return sum(len(every) for *_, every, _ in found)

    async def _send(self, rows: Sequence[PublishedRow], found: Sequence[Any], lease: Lease) -> set[tuple[str, str]]:
        """Returns the topics and keys that the broker may not have."""
        last = max(one for *_, every, _ in found for one in every)
        try:
            outcome = await self._producer.send(rows)
        except BaseException:
            self._doubt_up_to(last)
            with suppress(Exception):
                async with asyncio.timeout(2):
                    await self._settle([], rows, lease)
            raise
        for topic, count in outcome.per_topic.items():
            metrics.PUBLISHED.labels(topic).inc(count)
        for topic, failure in outcome.failed.items():
            metrics.RELAY_FAILURES.labels(type(failure).__name__).inc()
            _log.warning("states of a topic not sent", topic=topic, error=type(failure).__name__)
            self._blocked.add(topic)
            if not isinstance(failure, TOPIC_TROUBLE):
                self._doubt_up_to(last)
        sent = set(outcome.sent)
        return {(row.record.topic, row.record.key) for row in rows if row.id not in sent}

    async def _settle(self, ids: Sequence[int], rows: Sequence[PublishedRow], lease: Lease) -> None:
        topics, keys = [row.record.topic for row in rows], [row.record.key for row in rows]
        async with self._database.reading() as queries:
            await queries.execute(_SETTLE, ids, lease.name, lease.holder, lease.fence, topics, keys)

    async def _rows(self, source: StateSource, keys: Sequence[str], queries: Queries) -> list[PublishedRow]:
        """The present states as records. They are read after the time that numbers them."""
        states = await source.read(queries, keys)
        now, cause = utc_now(), Cause(turn := new_id(), turn)
        rows = []
        for key in keys:
            self._number += 1
            state = states.get(key)
            known: Any = {"sequence": self._number, "cause": cause, "time": now, "base_url": self._base_url}
            record = encode_tombstone(source.kind, key, **known) if state is None else encode(state, **known)
            rows.append(PublishedRow(self._number, record, self._number, now))
        return rows


def publisher_of(
    service: Service[Any], database: Database, process: str, signer: Signer | None
) -> StatePublisher | None:
    """What publishes the service's states while this process leads; None if it has none."""
    if not service.states:
        return None
    settings = service.settings
    producer = BatchProducer(
        settings.kafka,
        prefix=settings.kafka_topic_prefix,
        client_id=f"{process}-states",
        ack_timeout=_ACK_TIMEOUT,
        signer=signer,
    )
    base_url = settings.public_base_url.rstrip("/") or EXAMPLE_BASE_URL
    return StatePublisher(database, producer, service.states, watch=service.database, base_url=base_url)
