"""Processes the events of one poll in one transaction. If that fails, it takes fewer events, until the culprit stands
alone.

consume → signatures → inbox → handlers → outbox → commit. It waits if servers fail. An event that fails by itself is
tried a few times more and then given up; the others go on. What is refused, by its signature or by a rule, is never
tried again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog
from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import Cause
from makegood_contracts.events import EVENT_TYPES
from tenacity import AsyncRetrying, retry_if_not_exception_type, stop_after_attempt, wait_exponential

from makegood_chassis import metrics, observe, tracing
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.messaging import failpoints, inbox
from makegood_chassis.messaging.batches import (
    Arrival,
    SortedOut,
    UnreadableRecord,
    group_preserving_key_order,
    sort_out,
)
from makegood_chassis.messaging.dead_letters import DeadLetterLimit, as_dead_letter, dead_letter, reason_of
from makegood_chassis.messaging.failures import Stopped, until_it_passes
from makegood_chassis.messaging.forgeries import Forgeries
from makegood_chassis.messaging.handlers import EventHandlers, IsRelevant, together
from makegood_chassis.messaging.reading import UnreadableRange
from makegood_chassis.messaging.refusals import RefusalReason, SignatureRefusal, TooEarly
from makegood_chassis.messaging.sequences import Sequences
from makegood_chassis.messaging.verification import Verifier, read_signature
from makegood_chassis.real_time import utc_now

_ATTEMPTS = 3
T = TypeVar("T")


class _Refused(Exception):
    """A handler refused an event that may have been handled before."""


_log = structlog.get_logger(__name__)


class Processor:
    """Processes polls. `given_up` is asked between two tries of a poll whose servers are away; `waiting(True)` says
    that it waits.

    `verifier`: records must be signed. `clock_patience`: for how many seconds an event that comes before its time is
    tried again, where clocks can be moved (development).
    """

    def __init__(
        self,
        database: Database,
        handlers: EventHandlers,
        *,
        service: str,
        guard: DeadLetterLimit,
        prefix: str = "",
        is_relevant: IsRelevant = lambda _: True,
        verifier: Verifier | None = None,
        clock_patience: float = 0.0,
        given_up: Callable[[], bool] = lambda: False,
        waiting: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._together = together(handlers)
        self._service = service
        self._guard = guard
        self.prefix = prefix
        self._is_relevant = is_relevant
        self._verifier = verifier
        self._forgeries = Forgeries(database, service)
        self._sequences = Sequences()
        self._repeating = False
        """Whether some events of the last poll had been handled before."""
        self._clock_patience = clock_patience
        self._early: dict[str, float] = {}
        self.given_up = given_up
        self.waiting = waiting
        self.partitions: Callable[[str], int] = lambda _: 0
        """How many partitions a topic has, as the consumer knows."""
        self._wanted = frozenset(kind.type for kind in handlers)
        for topic in {kind.topic.name for kind in handlers}:
            for outcome in metrics.OUTCOMES:
                metrics.CONSUMED.labels(topic, outcome)  # so that each is there from the start, as 0
        unknown = self._wanted - EVENT_TYPES.keys()
        if unknown:
            raise ValueError(f"handlers for types that no contract has: {sorted(unknown)}")

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Returns once each record is handled, skipped or a dead letter. Raises Stopped or DeadLetterLimitExceeded.

        If it raises, some records may have been handled. The inbox recognises those when they come again.
        """
        started = time.perf_counter()
        sorted_out = await self._sort_out(records)
        for topic, count in sorted_out.skipped.items():
            metrics.CONSUMED.labels(topic, "skipped").inc(count)
        if sorted_out.arrivals:
            await self._settle(sorted_out.arrivals)
        for one in sorted_out.unreadable:
            await self._dead_letter(one, one.event_id, one.redrive, one.error, 1)
        if self._verifier is not None:
            await self._forgeries.keep(sorted_out.forged, self._until_it_passes)
        metrics.CONSUMER_BATCH.observe(len(records))
        metrics.CONSUMER_DURATION.observe(time.perf_counter() - started)

    async def pass_over(self, unreadable: UnreadableRange) -> None:
        """Keeps the places of records that cannot be read. Raises Stopped."""
        topic = unreadable.partition.topic.removeprefix(self.prefix)
        await self._forgeries.keep_place(unreadable, topic, self._until_it_passes)

    async def _sort_out(self, records: Sequence[ConsumerRecord]) -> SortedOut:
        """Sorts out the records. If one names an unknown key, the keys are fetched once more before it is refused."""
        verifier = self._verifier
        if verifier is None:
            return sort_out(records, self._wanted, self.prefix, self._is_relevant)

        def check(topic: str, record: ConsumerRecord) -> SignatureRefusal | None:
            return verifier.check(topic, record.key, record.headers, record.value)

        if not verifier.keys.fresh:
            records = await self._refuse_what_no_key_verifies(records)
            await self._waiting_for_a_server(verifier.keys.ensure, len(records))
        found = sort_out(records, self._wanted, self.prefix, self._is_relevant, check, self.partitions)
        if any(one.reason == "key-unknown" for one in found.forged):
            records = await self._refuse_what_no_key_verifies(records)
            await self._waiting_for_a_server(verifier.keys.look_again, len(records))
            found = sort_out(records, self._wanted, self.prefix, self._is_relevant, check, self.partitions)
        return found

    async def _refuse_what_no_key_verifies(self, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        """Refuses forged records for which no keys are needed, so that they do not wait for these. Returns the others."""

        def check(_: str, record: ConsumerRecord) -> SignatureRefusal | None:
            signature = read_signature(record.headers)
            return signature if isinstance(signature, str) else None

        forged = sort_out(records, self._wanted, self.prefix, check=check).forged
        await self._forgeries.keep(forged, self._until_it_passes)
        gone = {id(one.record) for one in forged}
        return [record for record in records if id(record) not in gone]

    async def _settle(self, arrivals: list[Arrival]) -> None:
        if self._look_new(arrivals):
            try:
                await self._waiting_for_a_server(lambda: self._attempt(arrivals, asking=False), len(arrivals))
                return
            except Stopped:
                raise
            except Exception as error:
                # Before an event is blamed, the inbox must say whether it was handled already.
                _log.info("batch is handled again, asking the inbox first", error=type(error).__name__)
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

    def _look_new(self, arrivals: Sequence[Arrival]) -> bool:
        """Whether nothing says that one of them was handled before. The inbox can then be asked with the last statement."""
        received = [arrival.received for arrival in arrivals]
        return (
            not self._repeating
            and len({one.id for one in received}) == len(received)
            and not any(one.redrive for one in received)
            and not self._sequences.repeated(received)
        )

    async def _patiently(self, part: list[Arrival]) -> None:
        await self._waiting_for_a_server(lambda: self._attempt(part), len(part))

    async def _waiting_for_a_server(self, operation: Callable[[], Awaitable[T]], events: int) -> T:
        waited = False

        def failed(error: BaseException, attempts: int) -> None:
            nonlocal waited
            metrics.CONSUMER_RETRIES.labels(type(error).__name__).inc()
            if not waited:
                waited = True
                self.waiting(True)
                _log.warning("events are waiting for a server", error=type(error).__name__, events=events)

        try:
            return await until_it_passes(operation, given_up=self.given_up, failed=failed, longest=2.0)
        finally:
            if waited:
                self.waiting(False)

    async def _attempt(self, part: list[Arrival], *, asking: bool = True) -> None:
        """Handles the events in one transaction. `asking`: asks the inbox first which of them are new.

        Otherwise all are taken for new, and it raises if one is not, or if a handler refuses one.
        """
        received = [arrival.received for arrival in part]
        spans = tracing.receive(received, self._service)
        async with spans, self._database.transaction(Cause.begin()) as unit:
            fresh = spans.received
            if asking:
                fresh = await inbox.claim(fresh, unit)
            else:
                unit.note_handled([one.id for one in fresh])
            failpoints.reached("consumer.inbox")
            taken = fresh
            if repeated := self._sequences.repeated(fresh):
                for event_id in repeated:
                    unit.refuse(event_id, "sequence-repeated")
                taken = [one for one in fresh if one.id not in repeated]
            for batch in group_preserving_key_order(taken, self._together):
                await self._handlers[type(batch[0].event)](batch, unit)
            failpoints.reached("consumer.handled")
            refused = dict(unit.refused)
            if refused:
                if not asking:
                    raise _Refused
                self._be_patient_with_clocks(refused)
                await self._refuse(part, refused, unit)
        self._sequences.handled(fresh if not refused else [one for one in fresh if one.id not in refused])
        self._repeating = len(fresh) < len(part)
        self._count(part, len(fresh), refused)

    def _be_patient_with_clocks(self, refused: Mapping[str, RefusalReason]) -> None:
        """Raises TooEarly as long as moving clocks may be the reason: in development, they move one after the other."""
        now = time.monotonic()
        early = [event_id for event_id, reason in refused.items() if reason == "before-its-time"]
        for event_id in early:
            self._early.setdefault(event_id, now)
        if any(now - self._early[event_id] < self._clock_patience for event_id in early):
            raise TooEarly
        for event_id in early:
            del self._early[event_id]

    async def _refuse(self, part: list[Arrival], refused: Mapping[str, RefusalReason], unit: UnitOfWork) -> None:
        """Makes the refused events dead letters, in the transaction in which the others take effect."""
        arrivals = {arrival.received.id: arrival for arrival in part}
        for event_id, reason in refused.items():
            arrival = arrivals[event_id]
            if not arrival.received.redrive:
                self._guard.check()
            elif not self._forgeries.allows(arrival.record, arrival.topic, reason):
                continue
            unit.publish_record(
                as_dead_letter(arrival.record, service=self._service, topic=arrival.topic, reason=reason, attempts=1)
            )
        await inbox.mark_dead(list(refused), unit)

    def _count(self, part: list[Arrival], fresh: int, refused: Mapping[str, RefusalReason]) -> None:
        if fresh < len(part):
            metrics.INBOX_DUPLICATES.inc(len(part) - fresh)
        topics: dict[str, int] = {}
        for arrival in part:
            if (reason := refused.get(arrival.received.id)) is None:
                topics[arrival.topic] = topics.get(arrival.topic, 0) + 1
            else:
                counts = not arrival.received.redrive
                self._note_dead(arrival, arrival.received.id, reason, "refused", counts=counts)
        for topic, count in topics.items():
            metrics.CONSUMED.labels(topic, "handled").inc(count)
        oldest = min(arrival.record.timestamp for arrival in part) / 1000
        metrics.CONSUMER_DELAY.observe(max(0.0, utc_now().timestamp() - oldest))

    async def _alone(self, arrival: Arrival, error: Exception) -> None:
        """Retries the failing event alone, then makes it a dead letter."""
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
            await self._dead_letter(arrival, received.id, received.redrive, last, _ATTEMPTS)
        else:
            _log.info("event succeeded when retried alone", event_id=arrival.received.id, error=type(error).__name__)

    async def _dead_letter(
        self, one: Arrival | UnreadableRecord, event_id: str, redrive: int, error: BaseException, attempts: int
    ) -> None:
        reason = reason_of(error)
        if not redrive:
            self._guard.check()
        elif not self._forgeries.allows(one.record, one.topic, reason):
            return
        given_up = await self._until_it_passes(
            lambda: dead_letter(
                self._database, one.record, event_id, redrive,
                service=self._service, topic=one.topic, reason=reason, attempts=attempts,
            )
        )  # fmt: skip
        if not given_up:
            metrics.INBOX_DUPLICATES.inc()
            return
        self._note_dead(one, event_id, reason, "dead", observe.frames(error), counts=not redrive)

    async def _until_it_passes(self, operation: Callable[[], Awaitable[bool]]) -> bool:
        return await until_it_passes(
            operation,
            given_up=self.given_up,
            failed=lambda failure, _: metrics.CONSUMER_RETRIES.labels(type(failure).__name__).inc(),
        )

    def _note_dead(
        self,
        one: Arrival | UnreadableRecord,
        event_id: str,
        reason: str,
        outcome: str,
        frames: Sequence[str] = (),
        *,
        counts: bool,
    ) -> None:
        if counts:
            self._guard.count()
        metrics.DEAD_LETTERS.labels(one.topic, reason).inc()
        metrics.CONSUMED.labels(one.topic, outcome).inc()
        _log.error(
            "event given up",
            event_id=event_id,
            topic=one.topic,
            partition=one.record.partition,
            offset=one.record.offset,
            error=reason,
            frames=list(frames),
            trace_id=tracing.trace_id_of((dict(one.record.headers).get("traceparent") or b"").decode(errors="replace")),
        )
