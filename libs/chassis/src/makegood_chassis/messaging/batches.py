"""Turns the records of one poll into calls of handlers. Decodes them, sorts them out, and groups them so that each
key keeps its order."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from aiokafka.structs import ConsumerRecord
from makegood_contracts.envelope import MalformedEvent, Received, decode, event_type, names_schema_of
from makegood_contracts.events import Event
from makegood_contracts.ids import is_id

from makegood_chassis.messaging.dead_letters import MOST_REDRIVES, REDRIVE
from makegood_chassis.messaging.handlers import IsRelevant
from makegood_chassis.messaging.partitions import partition_hash
from makegood_chassis.messaging.refusals import EnvelopeRefusal, RefusedEvent, SignatureRefusal

CheckSignature = Callable[[str, ConsumerRecord], SignatureRefusal | None]
"""Why a record on a topic (without the prefix) is not its owner's."""

_READ: Final = frozenset({"traceparent", "content-type", REDRIVE})
_UNNAMED: Final = uuid.UUID("6f0c2a44-52c5-5c37-9f0e-3d2b7f2d6a10")


@dataclass(slots=True)
class Arrival:
    """A record and the event that it holds. `topic` is without the cluster's prefix."""

    record: ConsumerRecord
    topic: str
    received: Received[Event]


@dataclass(slots=True)
class UnreadableRecord:
    """A record that is not an event of the contracts, or that contradicts its envelope.

    Its id is its own `ce_id` if that is usable. Otherwise the id is made from the record's place.
    """

    record: ConsumerRecord
    topic: str
    event_id: str
    redrive: int
    error: MalformedEvent | RefusedEvent


@dataclass(slots=True)
class Forged:
    """A record that the owner of its topic did not sign.

    Its id is made from its place. What the record says of itself counts for nothing; otherwise it could use up the id
    of a genuine event.
    """

    record: ConsumerRecord
    topic: str
    event_id: str
    reason: SignatureRefusal


@dataclass(slots=True)
class SortedOut:
    """The records of a poll, sorted by what becomes of them."""

    arrivals: list[Arrival]
    unreadable: list[UnreadableRecord]
    forged: list[Forged]
    skipped: dict[str, int]
    """Events that the service does not handle, counted by topic."""


def sort_out(
    records: Iterable[ConsumerRecord],
    wanted: Collection[str],
    prefix: str = "",
    is_relevant: IsRelevant = lambda _: True,
    check: CheckSignature | None = None,
    partitions: Callable[[str], int] = lambda _: 0,
) -> SortedOut:
    """Decodes, in order, what the service handles: the CloudEvents types in `wanted` and, of these, what is relevant to it.

    `partitions` says how many partitions a topic (with the prefix) has. Signatures are checked before anything is
    decoded. A record that its topic's owner did not sign gets no further.
    """
    result = SortedOut([], [], [], {})
    for record in records:
        topic = record.topic.removeprefix(prefix)
        kind = event_type(record.headers)
        if kind is not None and kind not in wanted:
            result.skipped[topic] = result.skipped.get(topic, 0) + 1
            continue
        if (
            check is not None
            and (
                reason := check(topic, record)
                or _forged_redrive(record)
                or _misplaced(record, partitions(record.topic))
            )
            is not None
        ):
            result.forged.append(Forged(record, topic, _made_of_its_place(record), reason))
            continue
        try:
            received = _read(record, topic)
            skip = not is_relevant(received.event)
        except (MalformedEvent, RefusedEvent) as error:
            result.unreadable.append(UnreadableRecord(record, topic, *_identify(record), error))
        except Exception as fault:
            # An error in reading one record concerns only this record. It must not stop the records behind it.
            unread = MalformedEvent(f"not an event of these contracts: {type(fault).__name__}")
            unread.__cause__ = fault
            result.unreadable.append(UnreadableRecord(record, topic, *_identify(record), unread))
        else:
            if skip:
                result.skipped[topic] = result.skipped.get(topic, 0) + 1
            else:
                result.arrivals.append(Arrival(record, topic, received))
    return result


def _read(record: ConsumerRecord, topic: str) -> Received[Event]:
    """The event in the record. Raises MalformedEvent or RefusedEvent."""
    # Other headers are not signed. Whatever somebody adds to a genuine event must not make it unreadable.
    known = [one for one in record.headers if one[0].startswith("ce_") or one[0] in _READ]
    received = decode(record.key, known, record.value)
    if not is_id(received.id):
        raise MalformedEvent("not an event of these contracts: ce_id is no UUID")
    if not 0 <= received.redrive <= MOST_REDRIVES:
        raise MalformedEvent("not an event of these contracts: makegood_redrive is out of range")
    if (contradiction := contradicts(received, topic)) is not None:
        raise RefusedEvent(contradiction)
    return received


def contradicts(received: Received[Event], topic: str) -> EnvelopeRefusal | None:
    """Which part of the envelope contradicts the event's topic or payload."""
    event, attributes = received.event, received.headers
    kind = type(event)
    if kind.topic.name != topic:
        return "wrong-topic"
    if attributes.get("ce_source") != f"/makegood/{kind.topic.owner}":
        return "wrong-source"
    if received.key != event.key:
        return "wrong-key"
    if attributes.get("ce_subject") != received.key:
        return "wrong-subject"
    if not names_schema_of(kind, attributes.get("ce_dataschema", "")):
        return "wrong-schema"
    return None


def _forged_redrive(record: ConsumerRecord) -> SignatureRefusal | None:
    """Why the `makegood_redrive` header cannot be genuine. It is not signed, so a wrong one says nothing about its
    event."""
    for name, value in record.headers:
        if name == REDRIVE and not (value and len(value) <= 4 and value.isdigit() and int(value) <= MOST_REDRIVES):
            return "redrive-malformed"
    return None


def _misplaced(record: ConsumerRecord, count: int) -> SignatureRefusal | None:
    """Whether a genuine record was copied to another partition. There it would overtake others of its key. `count`
    is 0 if the number of partitions is not known."""
    if count and partition_hash((record.key or b"").decode(errors="replace")) % count != record.partition:
        return "wrong-partition"
    return None


def _made_of_its_place(record: ConsumerRecord) -> str:
    return str(uuid.uuid5(_UNNAMED, f"{record.topic}/{record.partition}/{record.offset}"))


def _identify(record: ConsumerRecord) -> tuple[str, int]:
    attributes = {name: (raw or b"").decode(errors="replace") for name, raw in record.headers}
    redrive = attributes.get("makegood_redrive", "0")
    count = int(redrive) if redrive.isascii() and redrive.isdigit() and len(redrive) < 9 else 0
    if is_id(attributes.get("ce_id", "")):
        return str(uuid.UUID(attributes["ce_id"])), count
    return _made_of_its_place(record), count


def group_preserving_key_order(
    received: Sequence[Received[Any]], together: Mapping[type[Event], object] = MappingProxyType({})
) -> list[list[Received[Any]]]:
    """Groups of one event type each, or of those types to which `together` gives the same value, to be handled one after the
    other. There are as few as the order of each key allows.

    Each event goes into the first group of its kind that does not come before the group of the previous event with the same
    topic and key.
    """
    groups: list[list[Received[Any]]] = []
    places: dict[Any, list[int]] = {}
    last: dict[tuple[str, str], int] = {}
    for one in received:
        kind = type(one.event)
        key = (kind.topic.name, one.key)
        mine = places.setdefault(together.get(kind, kind), [])
        at = bisect_left(mine, last.get(key, 0))
        if at == len(mine):
            mine.append(len(groups))
            groups.append([])
        place = mine[at]
        groups[place].append(one)
        last[key] = place
    return groups
