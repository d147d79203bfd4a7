"""Dead letters: events that failed. They are kept whole on the service's dead-letter topic, with reason and origin.
Their number is limited."""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import Cause, Record

from makegood_chassis.database import MAX_RECORD, Database
from makegood_chassis.messaging import inbox
from makegood_chassis.messaging.refusals import RefusedEvent
from makegood_chassis.real_time import utc_now

REASON: Final = "makegood_dead_reason"
TOPIC: Final = "makegood_dead_topic"
PARTITION: Final = "makegood_dead_partition"
OFFSET: Final = "makegood_dead_offset"
AT: Final = "makegood_dead_at"
ATTEMPTS: Final = "makegood_dead_attempts"
KEY: Final = "makegood_dead_key"
CUT: Final = "makegood_dead_cut"
UNTIL: Final = "makegood_dead_until"
COUNT: Final = "makegood_dead_count"
"""Last offset and number of the records that one letter stands for, where there were too many for a letter each."""
REDRIVE: Final = "makegood_redrive"
MOST_REDRIVES: Final = 1000
"""Highest number in `makegood_redrive`. It says no more than that the record was put back, and is not signed."""
HEADERS: Final = frozenset({REASON, TOPIC, PARTITION, OFFSET, AT, ATTEMPTS, KEY, CUT, UNTIL, COUNT})
"""What a dead letter has beyond the headers of the event."""


class DeadLetterLimitExceeded(Exception):
    """So many events failed in a short time that the events are not to blame. The consumer stops instead of giving
    up on more."""


class DeadLetterLimit:
    """At most `limit` dead letters in `window` seconds (REL-7)."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self.window = window
        self._moments: deque[float] = deque()

    def check(self) -> None:
        """Raises DeadLetterLimitExceeded if one more would be too many."""
        now = time.monotonic()
        while self._moments and self._moments[0] <= now - self.window:
            self._moments.popleft()
        if len(self._moments) >= self._limit:
            raise DeadLetterLimitExceeded

    def count(self) -> None:
        self._moments.append(time.monotonic())


def reason_of(error: BaseException) -> str:
    """Why an event was refused; for an error, its class only, because its text may hold personal data."""
    return error.reason if isinstance(error, RefusedEvent) else type(error).__name__


def as_dead_letter(record: ConsumerRecord, *, service: str, topic: str, reason: str, attempts: int) -> Record:
    """The record as it came, with the reason and its origin."""
    key, exact = _text(record.key)
    headers = [(name, _text(value)[0]) for name, value in record.headers if name not in HEADERS]
    headers += [
        (REASON, reason),
        (TOPIC, topic),
        (PARTITION, str(record.partition)),
        (OFFSET, str(record.offset)),
        (AT, utc_now().isoformat(timespec="milliseconds")),
        (ATTEMPTS, str(attempts)),
    ]
    if not exact:
        headers.append((KEY, base64.b64encode(record.key or b"").decode()))
    value = record.value or b""
    around = len(key.encode()) + sum(len(name.encode()) + len(text.encode()) for name, text in headers)
    if around + len(value) > MAX_RECORD:
        # With more headers, no broker would take this record again. Only its place on the topic can be kept.
        headers.append((CUT, str(len(value))))
        value = b""
    if around > MAX_RECORD:
        key, headers = "", [one for one in headers if one[0] in HEADERS - {KEY}]
    return Record(f"{service}.dead-letters.v1", key, headers, value)


def _text(raw: bytes | None) -> tuple[str, bool]:
    """The text in a form that PostgreSQL can hold, and whether it is unchanged."""
    text = (raw or b"").decode(errors="replace").replace("\0", "\ufffd")
    return text, text.encode() == (raw or b"")


async def dead_letter(
    database: Database, record: ConsumerRecord, event_id: str, redrive: int, *, service: str, topic: str,
    reason: str, attempts: int,
) -> bool:  # fmt: skip
    """Marks the event dead and publishes its dead letter, in one transaction. Returns False if that was done before."""
    async with database.transaction(Cause(event_id, event_id)) as unit:
        if not await inbox.mark_dead_unless_handled(event_id, redrive, unit):
            return False
        unit.publish_record(as_dead_letter(record, service=service, topic=topic, reason=reason, attempts=attempts))
    return True


def restored(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The event's own headers, with `makegood_redrive` raised by one."""
    kept = [(name, value) for name, value in headers if name not in HEADERS and name != REDRIVE]
    before = next((value or b"0" for name, value in headers if name == REDRIVE), b"0")
    count = int(before) if before.isdigit() and len(before) <= 4 else 0
    return [*kept, (REDRIVE, str(min(count + 1, MOST_REDRIVES)).encode())]
