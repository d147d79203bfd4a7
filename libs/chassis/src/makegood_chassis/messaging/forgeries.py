"""Records that their topic's owner did not sign. All are counted; a few are kept whole, and of the rest only the place.

An attacker who writes many of them neither stops the consumer nor fills the dead-letter topic. They do not count
towards the consumer's limit of dead letters. In `WINDOW` seconds there are at most `WHOLE` letters, and one for each
partition.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import Cause, Record

from makegood_chassis import metrics
from makegood_chassis.database import Database
from makegood_chassis.messaging.batches import Forged
from makegood_chassis.messaging.dead_letters import (
    AT,
    ATTEMPTS,
    COUNT,
    CUT,
    OFFSET,
    PARTITION,
    REASON,
    TOPIC,
    UNTIL,
    dead_letter,
)
from makegood_chassis.messaging.reading import UnreadableRange
from makegood_chassis.real_time import utc_now

WHOLE: Final = 20
WINDOW: Final = 60.0
UNREADABLE: Final = "unreadable"
"""Reason of records that cannot be taken from their batch."""
_log = structlog.get_logger(__name__)

Patiently = Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]
"""Runs an operation until servers that are away have come back."""


@dataclass(slots=True)
class _Places:
    """Records of one partition for which no letter has been written yet."""

    reason: str
    first: int
    last: int
    count: int = 1


class Forgeries:
    """Keeps the evidence that somebody writes to topics of others."""

    def __init__(self, database: Database, service: str, *, whole: int = WHOLE, window: float = WINDOW) -> None:
        self._database = database
        self._service = service
        self._most = whole
        self._window = window
        self._letters: deque[float] = deque()
        self._places: dict[tuple[str, int], _Places] = {}
        self._told = time.monotonic()

    async def keep(self, forged: Sequence[Forged], patiently: Patiently) -> None:
        """Writes letters for these records, as far as the allowance goes."""
        for one in forged:
            metrics.DEAD_LETTERS.labels(one.topic, one.reason).inc()
            metrics.CONSUMED.labels(one.topic, "refused").inc()
            if self._allowed():
                await patiently(lambda one=one: self._whole(one))  # type: ignore[misc]
            else:
                self._note(one.reason, one.topic, one.record.partition, one.record.offset, one.record.offset)
        if forged:
            first = forged[0]
            _log.error(
                "records without a valid signature of their topic's owner",
                count=len(forged),
                reason=first.reason,
                topic=first.topic,
                partition=first.record.partition,
                offset=first.record.offset,
                until_offset=forged[-1].record.offset,
            )
        await self._tell(patiently)

    async def keep_place(self, unreadable: UnreadableRange, topic: str, patiently: Patiently) -> None:
        """Keeps the places of records that cannot be read."""
        count = unreadable.last - unreadable.first + 1
        metrics.DEAD_LETTERS.labels(topic, UNREADABLE).inc(count)
        metrics.CONSUMED.labels(topic, "refused").inc(count)
        partition = unreadable.partition.partition
        _log.error(
            "records that cannot be read",
            count=count,
            reason=unreadable.reason,
            topic=topic,
            partition=partition,
            offset=unreadable.first,
            until_offset=unreadable.last,
        )
        if self._allowed():
            places = {(topic, partition): _Places(UNREADABLE, unreadable.first, unreadable.last, count)}
            await patiently(lambda: self._by_place(places))
        else:
            self._note(UNREADABLE, topic, partition, unreadable.first, unreadable.last)
        await self._tell(patiently)

    def allows(self, record: ConsumerRecord, topic: str, reason: str) -> bool:
        """Whether one more letter may be written for an event that was put back, or copied as if it were. Such an
        event already has a letter. If the answer is no, its place is reported later."""
        allowed = self._allowed()
        if not allowed:
            self._note(reason, topic, record.partition, record.offset, record.offset)
        return allowed

    def _allowed(self) -> bool:
        """Whether one more letter may be written now; then it counts."""
        now = time.monotonic()
        while self._letters and self._letters[0] <= now - self._window:
            self._letters.popleft()
        if len(self._letters) >= self._most:
            return False
        self._letters.append(now)
        return True

    async def _tell(self, patiently: Patiently) -> None:
        now = time.monotonic()
        if self._places and now - self._told >= self._window:
            self._told = now
            if await patiently(lambda: self._by_place(self._places)):
                self._places.clear()

    def _note(self, reason: str, topic: str, partition: int, first: int, last: int) -> None:
        count = last - first + 1
        places = self._places.get((topic, partition))
        if places is None:
            self._places[topic, partition] = _Places(reason, first, last, count)
        else:
            places.first = min(places.first, first)
            places.last = max(places.last, last)
            places.count += count

    async def _whole(self, one: Forged) -> bool:
        return await dead_letter(
            self._database, one.record, one.event_id, 0,
            service=self._service, topic=one.topic, reason=one.reason, attempts=1,
        )  # fmt: skip

    async def _by_place(self, told: Mapping[tuple[str, int], _Places]) -> bool:
        async with self._database.transaction(Cause.begin()) as unit:
            for (topic, partition), places in told.items():
                headers = [
                    (REASON, places.reason),
                    (TOPIC, topic),
                    (PARTITION, str(partition)),
                    (OFFSET, str(places.first)),
                    (UNTIL, str(places.last)),
                    (COUNT, str(places.count)),
                    (AT, utc_now().isoformat(timespec="milliseconds")),
                    (ATTEMPTS, "1"),
                    (CUT, "0"),
                ]
                unit.publish_record(Record(f"{self._service}.dead-letters.v1", "", headers, b""))
        return True
