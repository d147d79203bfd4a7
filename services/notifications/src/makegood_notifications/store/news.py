"""How far this service has read the topics (NOTE-3). After an outage, nobody is told anything before later events have
been read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from makegood_chassis.database import Database
from makegood_chassis.messaging.progress import ReadUntil
from makegood_chassis.real_time import utc_now
from makegood_contracts.ids import new_id

ON_ITS_WAY: Final = timedelta(seconds=1.5)
"""An event younger than this may be unread at any time. No process restarts that quickly."""
KEPT: Final = 0.25
"""Seconds for which an answer is reused, because many messages ask at once."""
MOST_WAITING: Final = 10_000
FORGOTTEN: Final = timedelta(minutes=1)
"""Nobody asks again about something that could have been judged so long ago."""

_NOTE: Final = """
INSERT INTO news_readers AS reader (id, topics, numbers, partitions, read_until)
VALUES ($1, $2, $3, $4, ARRAY(
    SELECT least(until, clock_timestamp()) FROM unnest($5::timestamptz[]) WITH ORDINALITY AS new (until, place) ORDER BY place))
ON CONFLICT (id) DO UPDATE SET topics = excluded.topics, numbers = excluded.numbers, partitions = excluded.partitions,
    read_until = excluded.read_until, noted_at = clock_timestamp()
RETURNING read_until
"""
# What one process has read stays read, even if another one has lost the partition and does not know it yet.
_READ: Final = """
SELECT bool_and(whole), min(until) FROM (
    SELECT min(until) AS until, count(*) >= max(partitions) AS whole FROM (
        SELECT topic, max(read.partitions) AS partitions, max(until) AS until
        FROM news_readers AS reader
        CROSS JOIN LATERAL unnest(topics, numbers, reader.partitions, read_until) AS read (topic, number, partitions, until)
        WHERE $1::text[] IS NULL OR topic = ANY($1::text[]) GROUP BY topic, number
    ) AS numbers GROUP BY topic
) AS topics
"""
_PRUNE: Final = """
DELETE FROM news_readers WHERE id = ANY(ARRAY(
    SELECT id FROM news_readers AS gone
    WHERE noted_at < clock_timestamp() - $1::interval AND NOT EXISTS (
        SELECT FROM unnest(gone.topics, gone.numbers) AS had (topic, number)
        WHERE NOT EXISTS (
            SELECT FROM news_readers AS later CROSS JOIN LATERAL unnest(later.topics, later.numbers) AS has (topic, number)
            WHERE later.noted_at > gone.noted_at AND (has.topic, has.number) = (had.topic, had.number)))
    LIMIT $2
))
"""
RETENTION: Final = (_PRUNE, timedelta(hours=1))
"""A process that has ended is forgotten once others have read all its partitions. Without its row, nobody would wait for them."""
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
        self._id = new_id()
        self._noted: dict[tuple[str, int], ReadUntil] = {}

    async def note(self, read: Sequence[ReadUntil]) -> None:
        """Notes how far this process has read. One row for all partitions: an idle process writes it all day."""
        for one in read:
            before = self._noted.get((one.topic, one.partition))
            self._noted[one.topic, one.partition] = one if before is None or one.until > before.until else before
        noted = list(self._noted.values())
        async with self._database.reading() as queries:
            so_far = await queries.fetch_value(
                _NOTE,
                self._id,
                [one.topic for one in noted],
                [one.partition for one in noted],
                [one.partitions for one in noted],
                [one.until for one in noted],
            )
        # Never more than the database believed, whose clock decides.
        for one, until in zip(noted, so_far, strict=True):
            self._noted[one.topic, one.partition] = replace(one, until=until)

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
        now = utc_now()
        since = self._waiting.get(name, now)
        if read >= min(since, now - self._on_its_way):
            self._waiting.pop(name, None)
            return True
        if len(self._waiting) >= self._most_waiting:
            self._waiting = {one: at for one, at in self._waiting.items() if at + self._forgotten > read}
        if len(self._waiting) < self._most_waiting:  # otherwise it would have to queue behind those that already wait
            self._waiting[name] = since
        return False
