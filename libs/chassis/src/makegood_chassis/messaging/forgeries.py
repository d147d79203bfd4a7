"""Records that their topic's owner did not sign: each is counted, a few are kept whole, the rest by their place alone.

Whoever writes many of them neither stops the consumer (they do not count towards a flood) nor fills the disk of the
dead-letter topic: at most `WHOLE` letters and one a partition in `WINDOW` seconds, however many there are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from makegood_contracts.envelope import Cause, Record
from makegood_contracts.ids import new_id

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
    give_up,
)

WHOLE: Final = 20
WINDOW: Final = 60.0
_log = structlog.get_logger(__name__)

Patiently = Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]
"""Runs an operation until servers that are away have come back."""


@dataclass(slots=True)
class _Places:
    """Records of one partition of which no letter was written yet."""

    reason: str
    first: int
    last: int
    count: int = 1


class Forgeries:
    """Keeps what shows that somebody writes to a topic of others."""

    def __init__(self, database: Database, service: str, *, whole: int = WHOLE, window: float = WINDOW) -> None:
        self._database = database
        self._service = service
        self._most = whole
        self._window = window
        self._letters: deque[float] = deque()
        self._places: dict[tuple[str, int], _Places] = {}
        self._told = time.monotonic()

    async def keep(self, forged: Sequence[Forged], patiently: Patiently) -> None:
        """Writes letters of these, as far as the allowance goes."""
        now = time.monotonic()
        while self._letters and self._letters[0] <= now - self._window:
            self._letters.popleft()
        for one in forged:
            metrics.DEAD_LETTERS.labels(one.topic, one.reason).inc()
            metrics.CONSUMED.labels(one.topic, "refused").inc()
            if len(self._letters) < self._most:
                self._letters.append(now)
                await patiently(lambda one=one: self._whole(one))  # type: ignore[misc]
            else:
                self._note(one)
        if forged:
            first = forged[0]
            _log.error(
                "records that their topic's owner did not sign",
                count=len(forged),
                reason=first.reason,
                topic=first.topic,
                partition=first.record.partition,
                offset=first.record.offset,
                until_offset=forged[-1].record.offset,
            )
        if self._places and now - self._told >= self._window:
            self._told = now
            if await patiently(self._by_place):
                self._places.clear()

    def _note(self, one: Forged) -> None:
        where = (one.topic, one.record.partition)
        places = self._places.get(where)
        if places is None:
            self._places[where] = _Places(one.reason, one.record.offset, one.record.offset)
        else:
            places.first = min(places.first, one.record.offset)
            places.last = max(places.last, one.record.offset)
            places.count += 1

    async def _whole(self, one: Forged) -> bool:
        return await give_up(
            self._database, one.record, one.event_id, 0,
            service=self._service, topic=one.topic, reason=one.reason, attempts=1,
        )  # fmt: skip

    async def _by_place(self) -> bool:
        async with self._database.transaction(Cause(new_id(), new_id())) as unit:
            for (topic, partition), places in self._places.items():
                headers = [
                    (REASON, places.reason),
                    (TOPIC, topic),
                    (PARTITION, str(partition)),
                    (OFFSET, str(places.first)),
                    (UNTIL, str(places.last)),
                    (COUNT, str(places.count)),
                    (AT, datetime.now(UTC).isoformat(timespec="milliseconds")),
                    (ATTEMPTS, "1"),
                    (CUT, "0"),
                ]
                unit.publish_record(Record(f"{self._service}.dead-letters.v1", "", headers, b""))
        return True
