"""Records become rows: decoded and checked by their contract, then columns of Arrow tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.topics import Topic

from makegood_cli.export.columns import ATTRIBUTES, ENVELOPE, INSTANT, Kind, is_nested, schema_of


class KafkaRecord(Protocol):
    """What is used of a record of aiokafka."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that does not fit its contract, and why; or a range of offsets that cannot be read at all."""

    topic: Topic
    partition: int
    first: int
    last: int
    reason: str
    record: KafkaRecord | None = None


class _Row(NamedTuple):
    record: KafkaRecord
    attributes: dict[str, bytes | None]
    time: datetime
    sequence: int
    event: Event


_REQUIRED: Final = frozenset(f"ce_{name}" for name in (*ATTRIBUTES, "type", "time", "sequence")) - {"ce_dataschema"}
_LEAF_TYPES: Final = (datetime, date, Decimal)
_YEAR_ONE: Final = -62_135_596_800_000_000
"""In microseconds. Arrow could keep earlier instants, but Python could not read them."""

Check = Callable[[Topic, KafkaRecord], str | None]
"""Says why a record is not believed, such as a wrong signature; None if it is."""


class Converter:
    """Collects records of one topic until `take` turns them into a table. Keeps what does not fit in `rejected`."""

    def __init__(self, topic: Topic, check: Check | None = None) -> None:
        self.topic = topic
        self.schema = schema_of(topic)
        self.rejected: list[Rejected] = []
        self.gone: dict[str, int] = {}
        """The keys of tombstones on a compacted topic, and their offsets: the entity is of somebody who was erased."""
        self._check = check
        self._rows: defaultdict[Kind, list[_Row]] = defaultdict(list)
        self._kinds = {kind.type.encode(): kind for kind in EVENT_TYPES.values() if kind.topic == topic}
        self._decoders = {kind: msgspec.json.Decoder(kind).decode for kind in self._kinds.values()}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def add(self, record: KafkaRecord) -> None:
        if record.value is None and self.topic.compacted:
            self.gone[(record.key or b"").decode(errors="replace")] = record.offset
            return
        try:
            row = self._decoded(record)
        except (ValueError, TypeError, OverflowError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
            self._reject(record, str(error) or type(error).__name__)
        else:
            self._rows[type(row.event)].append(row)

    def take(self) -> pa.Table:
        """The rows collected so far, as a table with all columns of the topic."""
        tables = [table for kind, rows in self._rows.items() for table in self._tables(kind, rows)]
        self._rows.clear()
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    def _reject(self, record: KafkaRecord, reason: str) -> None:
        at = record.offset
        self.rejected.append(Rejected(self.topic, record.partition, at, at, reason, record))

    def _decoded(self, record: KafkaRecord) -> _Row:
        attributes = dict(record.headers)
        if missing := _REQUIRED - attributes.keys():
            raise ValueError(f"without {', '.join(sorted(missing))}")
        named = attributes["ce_type"]
        kind = self._kinds.get(named or b"")
        if kind is None:
            raise ValueError(f"{self.topic.name} has no events of the type {(named or b'').decode(errors='replace')}")
        if self._check is not None and (refusal := self._check(self.topic, record)) is not None:
            raise ValueError(refusal)
        event = self._decoders[kind](record.value or b"")
        if (record.key or b"").decode() != event.key:
            raise ValueError(f"the record's key is not the event's {self.topic.key}")
        time = datetime.fromisoformat(_text(attributes["ce_time"]))
        if time.tzinfo is None:
            raise ValueError("ce_time has no offset")
        return _Row(record, attributes, time, int(_text(attributes["ce_sequence"])), event)

    def _tables(self, kind: Kind, rows: list[_Row]) -> Iterator[pa.Table]:
        """Mostly one table. If a value fits no column, its row is found by halving and rejected."""
        try:
            yield self._table(kind, rows)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            if len(rows) == 1:
                self._reject(rows[0].record, f"{type(error).__name__}: {error}")
                return
            half = len(rows) // 2
            yield from self._tables(kind, rows[:half])
            yield from self._tables(kind, rows[half:])

    def _table(self, kind: Kind, rows: list[_Row]) -> pa.Table:
        count = len(rows)
        columns = _envelope(kind, rows)
        fields = set(kind.__struct_fields__)
        for field in list(self.schema)[len(ENVELOPE) :]:
            if field.name not in fields:
                columns.append(pa.nulls(count, field.type))
                continue
            values = [getattr(row.event, field.name) for row in rows]
            if is_nested(field.type):
                values = msgspec.to_builtins(values, builtin_types=_LEAF_TYPES)
            columns.append(pa.array(values, field.type))
        for field, column in zip(self.schema, columns, strict=True):
            if field.type == INSTANT and (pc.min(column).value or 0) < _YEAR_ONE:
                raise ValueError(f"{field.name} is before the year 1 in UTC")  # an offset can do that
        return pa.Table.from_arrays(columns, schema=self.schema)


def _envelope(kind: Kind, rows: list[_Row]) -> list[pa.Array]:
    count = len(rows)
    columns: dict[str, pa.Array] = {
        # Bytes: Arrow checks that they are UTF-8.
        f"ce_{name}": pa.array([row.attributes.get(f"ce_{name}") for row in rows], pa.string())
        for name in ATTRIBUTES
    }
    columns |= {
        "ce_type": pa.repeat(kind.type, count),
        "fact": pa.repeat(kind.__name__, count),
        "ce_sequence": pa.array([row.sequence for row in rows], pa.int64()),
        "ce_time": pa.array([row.time for row in rows], ENVELOPE.field("ce_time").type),
        "kafka_partition": pa.array([row.record.partition for row in rows], pa.int32()),
        "kafka_offset": pa.array([row.record.offset for row in rows], pa.int64()),
        "kafka_timestamp": pa.array([row.record.timestamp * 1000 for row in rows], pa.int64()).cast(
            ENVELOPE.field("kafka_timestamp").type
        ),
    }
    return [columns[name] for name in ENVELOPE.names]


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
