"""Counts the events that a process commits: what happens to sessions, credits and messages, for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.topics import EVENT_TOPICS

from makegood_chassis.database import Database, PublishedRow
from makegood_chassis.metrics import EVENTS, PUBLISHED

_TOPICS: Final = frozenset(topic.name for topic in EVENT_TOPICS)


def count_events(database: Database, service: str) -> None:
    """Counts what is committed from now on. The service's own types and topics are there from the start, as 0."""
    for name, kind in EVENT_TYPES.items():
        if kind.topic.owner == service:
            EVENTS.labels(name)
            PUBLISHED.labels(kind.topic.name)
    database.on_publish.append(_count)


def _count(rows: Sequence[PublishedRow]) -> None:
    # Dead letters have the type of their event, which another service committed.
    counts = Counter([dict(row.record.headers)["ce_type"] for row in rows if row.record.topic in _TOPICS])
    for kind, count in counts.items():
        EVENTS.labels(kind).inc(count)
