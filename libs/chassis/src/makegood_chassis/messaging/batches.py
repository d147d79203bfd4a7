"""From the records of one poll to calls of handlers: decoding, sorting out, and grouping that keeps each key's order."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import MalformedEvent, Received, decode, event_type
from makegood_contracts.events import Event
from makegood_contracts.ids import is_id

from makegood_chassis.messaging.handlers import Concerns

_UNNAMED: Final = uuid.UUID("6f0c2a44-52c5-5c37-9f0e-3d2b7f2d6a10")


@dataclass(slots=True)
class Arrival:
    """A record and what it says; `topic` is without the cluster's prefix."""

    record: ConsumerRecord
    topic: str
    received: Received[Event]


@dataclass(slots=True)
class Unreadable:
    """A record that is no event of the contracts. Its id is its own `ce_id` if it has a usable one, else made of its place."""

    record: ConsumerRecord
    topic: str
    event_id: str
    redrive: int
    error: MalformedEvent


@dataclass(slots=True)
class SortedOut:
    arrivals: list[Arrival]
    unreadable: list[Unreadable]
    skipped: dict[str, int]
    """Events that the service does not handle, counted by topic."""


def sort_out(
    records: Iterable[ConsumerRecord],
    wanted: Collection[str],
    prefix: str = "",
    concerns: Concerns = lambda _: True,
) -> SortedOut:
    """Decodes what the service handles (`wanted`: CloudEvents types, and of these what `concerns` it), in order."""
    result = SortedOut([], [], {})
    for record in records:
        topic = record.topic.removeprefix(prefix)
        kind = event_type(record.headers)
        if kind is not None and kind not in wanted:
            result.skipped[topic] = result.skipped.get(topic, 0) + 1
            continue
        try:
            received = decode(record.key, record.headers, record.value)
            if not is_id(received.id):
                raise MalformedEvent("not an event of these contracts: ce_id is no UUID")
            if not 0 <= received.redrive < 2**31:
                raise MalformedEvent("not an event of these contracts: makegood_redrive is out of range")
        except MalformedEvent as error:
            event_id, redrive = _identify(record)
            result.unreadable.append(Unreadable(record, topic, event_id, redrive, error))
            continue
        if concerns(received.event):
            result.arrivals.append(Arrival(record, topic, received))
        else:
            result.skipped[topic] = result.skipped.get(topic, 0) + 1
    return result


def _identify(record: ConsumerRecord) -> tuple[str, int]:
    attributes = {name: raw.decode(errors="replace") for name, raw in record.headers}
    redrive = attributes.get("makegood_redrive", "0")
    count = int(redrive) if redrive.isascii() and redrive.isdigit() and len(redrive) < 9 else 0
    if is_id(attributes.get("ce_id", "")):
        return str(uuid.UUID(attributes["ce_id"])), count
    return str(uuid.uuid5(_UNNAMED, f"{record.topic}/{record.partition}/{record.offset}")), count


def in_waves(received: Sequence[Received[Any]]) -> list[tuple[type[Event], list[Received[Any]]]]:
    """Groups of one event type each, to be handled one after the other: as few as a key's order across types allows.

    Each event goes into the first group of its type that is not before the group of the event before it with the same
    topic and key.
    """
    groups: list[tuple[type[Event], list[Received[Any]]]] = []
    places: dict[type[Event], list[int]] = {}
    last: dict[tuple[str, str], int] = {}
    for one in received:
        kind = type(one.event)
        key = (kind.topic.name, one.key)
        mine = places.setdefault(kind, [])
        at = bisect_left(mine, last.get(key, 0))
        if at == len(mine):
            mine.append(len(groups))
            groups.append((kind, []))
        place = mine[at]
        groups[place][1].append(one)
        last[key] = place
    return groups
