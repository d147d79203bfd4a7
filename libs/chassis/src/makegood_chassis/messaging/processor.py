"""What happens with the events of one poll: one transaction, and if it fails, fewer events, until the culprit stands alone.

consume → inbox → handlers → outbox → commit. Errors of servers are waited for; an event that fails by itself is tried a few
times more and then given up, the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import Cause
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.ids import new_id
from tenacity import AsyncRetrying, retry_if_not_exception_type, stop_after_attempt, wait_exponential

from makegood_chassis import metrics, observe
from makegood_chassis.database import Database
from makegood_chassis.messaging import inbox, points
from makegood_chassis.messaging.batches import Arrival, Unreadable, in_waves, sort_out
from makegood_chassis.messaging.dead_letters import FloodGuard, give_up
from makegood_chassis.messaging.failures import Stopped, until_it_passes
from makegood_chassis.messaging.handlers import Concerns, EventHandlers

_ATTEMPTS = 3
_log = structlog.get_logger(__name__)


class Processor:
    """`given_up` is asked between two tries of a poll whose servers are away; `waiting(True)` tells that it waits."""

    def __init__(
        self,
        database: Database,
        handlers: EventHandlers,
        *,
        service: str,
        guard: FloodGuard,
        prefix: str = "",
        concerns: Concerns = lambda _: True,
        given_up: Callable[[], bool] = lambda: False,
        waiting: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._service = service
        self._guard = guard
        self._prefix = prefix
        self._concerns = concerns
        self.given_up = given_up
        self.waiting = waiting
        self._wanted = frozenset(kind.type for kind in handlers)
        unknown = self._wanted - EVENT_TYPES.keys()
        if unknown:
            raise ValueError(f"handlers for types that no contract has: {sorted(unknown)}")

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Returns once each record is handled, skipped or a dead letter. Raises Stopped or Flood; then some may be handled,
        and those will be known as such when they come again."""
        started = time.perf_counter()
        sorted_out = sort_out(records, self._wanted, self._prefix, self._concerns)
        for topic, count in sorted_out.skipped.items():
            metrics.CONSUMED.labels(topic, "skipped").inc(count)
        if sorted_out.arrivals:
            await self._settle(sorted_out.arrivals)
        for one in sorted_out.unreadable:
            await self._bury(one, one.event_id, one.redrive, one.error, 1)
        metrics.CONSUMER_BATCH.observe(len(records))
        metrics.CONSUMER_DURATION.observe(time.perf_counter() - started)

    async def _settle(self, arrivals: list[Arrival]) -> None:
        parts = [arrivals]
        while parts:
            part = parts.pop()
            try:
                await self._patiently(part)
            except Stopped:
                raise
            except Exception as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    parts += (part[middle:], part[:middle])
                else:
                    await self._alone(part[0], error)

    async def _patiently(self, part: list[Arrival]) -> None:
        waited = False

        def failed(error: BaseException, attempts: int) -> None:
            nonlocal waited
            metrics.CONSUMER_RETRIES.labels(type(error).__name__).inc()
            if not waited:
                waited = True
                self.waiting(True)
                _log.warning("events wait for a server", error=type(error).__name__, events=len(part))

        try:
            await until_it_passes(lambda: self._attempt(part), given_up=self.given_up, failed=failed, longest=2.0)
        finally:
            if waited:
                self.waiting(False)

    async def _attempt(self, part: list[Arrival]) -> None:
        received = [arrival.received for arrival in part]
        spans = observe.receive(received, self._service)
        async with spans, self._database.transaction(Cause(new_id(), new_id())) as unit:
            fresh = await inbox.claim(spans.received, unit)
            points.reached("consumer.inbox")
            for kind, group in in_waves(fresh):
                await self._handlers[kind](group, unit)
            points.reached("consumer.handled")
        self._count(part, len(fresh))

    def _count(self, part: list[Arrival], fresh: int) -> None:
        if fresh < len(part):
            metrics.INBOX_DUPLICATES.inc(len(part) - fresh)
        topics: dict[str, int] = {}
        for arrival in part:
            topics[arrival.topic] = topics.get(arrival.topic, 0) + 1
        for topic, count in topics.items():
            metrics.CONSUMED.labels(topic, "handled").inc(count)
        oldest = min(arrival.record.timestamp for arrival in part) / 1000
        metrics.CONSUMER_DELAY.observe(max(0.0, datetime.now(UTC).timestamp() - oldest))

    async def _alone(self, arrival: Arrival, error: Exception) -> None:
        """The culprit: tried again by itself, then given up."""
        again = AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS - 1),
            wait=wait_exponential(multiplier=0.01, max=0.1),
            retry=retry_if_not_exception_type(Stopped),
            reraise=True,
        )
        try:
            await again(self._patiently, [arrival])
        except Stopped:
            raise
        except Exception as last:
            received = arrival.received
            await self._bury(arrival, received.id, received.redrive, last, _ATTEMPTS)
        else:
            _log.info("event succeeded alone", event_id=arrival.received.id, error=type(error).__name__)

    async def _bury(
        self, one: Arrival | Unreadable, event_id: str, redrive: int, error: BaseException, attempts: int
    ) -> None:
        self._guard.check()
        buried = await until_it_passes(
            lambda: give_up(
                self._database, one.record, event_id, redrive,
                service=self._service, topic=one.topic, error=error, attempts=attempts,
            ),
            given_up=self.given_up,
            failed=lambda failure, _: metrics.CONSUMER_RETRIES.labels(type(failure).__name__).inc(),
        )  # fmt: skip
        if not buried:
            metrics.INBOX_DUPLICATES.inc()
            return
        self._guard.count()
        metrics.DEAD_LETTERS.labels(one.topic, type(error).__name__).inc()
        metrics.CONSUMED.labels(one.topic, "dead").inc()
        _log.error(
            "event given up",
            event_id=event_id,
            topic=one.topic,
            partition=one.record.partition,
            offset=one.record.offset,
            error=type(error).__name__,
            frames=observe.frames(error),
        )
