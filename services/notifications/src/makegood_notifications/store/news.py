"""How far this service has read the topics (NOTE-3). After an outage, nobody is told anything before later events have
been read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from makegood_chassis.database import Database
from makegood_chassis.messaging.progress import ReadUntil

ON_ITS_WAY: Final = timedelta(seconds=1.5)
"""An event younger than this may be unread at any time. No process restarts that quickly."""
KEPT: Final = 0.25
"""Seconds for which an answer is reused, because many messages ask at once."""
MOST_WAITING: Final = 10_000
FORGOTTEN: Final = timedelta(minutes=1)
"""Nobody asks again about something that could have been judged so long ago."""

_NOTE: Final = """
INSERT INTO news_read (topic, partition, partitions, read_until)
SELECT topic, partition, partitions, least(read_until, clock_timestamp())
FROM unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[]) AS new (topic, partition, partitions, read_until)
ON CONFLICT (topic, partition) DO UPDATE SET partitions = excluded.partitions,
    read_until = greatest(excluded.read_until, least(news_read.read_until, clock_timestamp()))
"""
# What one process has read stays read, even if another one has lost the partition and does not know it yet.
_READ: Final = """
SELECT bool_and(whole), min(until) FROM (
    SELECT min(read_until) AS until, count(*) >= max(partitions) AS whole FROM news_read
    WHERE $1::text[] IS NULL OR topic = ANY($1::text[]) GROUP BY topic
) AS topics
"""
_NOTHING: Final = datetime.min.replace(tzinfo=UTC)
_EVERYTHING: Final = datetime.max.replace(tzinfo=UTC)


class News:
    """How far all processes of this service together have read the topics, in real time."""

    def __init__(
        self,
        database: Database,
        topics: Iterable[str] | None = None,
        *,
        on_its_way: timedelta = ON_ITS_WAY,
        most_waiting: int = MOST_WAITING,
        forgotten: timedelta = FORGOTTEN,
    ) -> None:
        """`topics` are those that this version reads. Topics that only an earlier version read are not waited for."""
        self._on_its_way = on_its_way
        self._most_waiting = most_waiting
        self._forgotten = forgotten
        self._database = database
        self._topics = sorted(topics) if topics is not None else None
        self._read = _NOTHING
        self._asked = float("-inf")
        self._waiting: dict[str, datetime] = {}

    async def note(self, read: Sequence[ReadUntil]) -> None:
        """Notes how far this process has read."""
        async with self._database.reading() as queries:
            await queries.execute(
                _NOTE,
                [one.topic for one in read],
                [one.partition for one in read],
                [one.partitions for one in read],
                [one.until for one in read],
            )

    async def read_until(self) -> datetime:
        """Everything that happened before the returned moment is known here. If no topic was ever read, nothing is
        waited for.
        """
        now = time.monotonic()
        if now - self._asked > KEPT:
            async with self._database.reading() as queries:
                row = await queries.fetch_one(_READ, self._topics)
            whole, until = tuple(row) if row is not None else (None, None)
            self._read = _EVERYTHING if whole is None else until if whole else _NOTHING
            self._asked = now
        return self._read

    def suffices(self, read: datetime, name: str) -> bool:
        """Whether enough is known to judge the thing of this name: everything that had happened when it was first asked
        about. `read` is from before the thing's state was read. Reading that always lags a little delays nothing
        forever.
        """
        now = datetime.now(UTC)
        since = self._waiting.get(name, now)
        if read >= min(since, now - self._on_its_way):
            self._waiting.pop(name, None)
            return True
        if len(self._waiting) >= self._most_waiting:
            self._waiting = {one: at for one, at in self._waiting.items() if at + self._forgotten > read}
        if len(self._waiting) < self._most_waiting:  # otherwise it would have to queue behind those that already wait
            self._waiting[name] = since
        return False
