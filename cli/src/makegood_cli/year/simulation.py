"""The clock, the chance and the agenda of a generated year, and the events that come of it, in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random

from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import Event
from makegood_contracts.ids import ids_from

Action = Callable[[], None]


class Simulation:
    """Runs actions at their moments. The same seed leads to the same records, byte by byte."""

    def __init__(self, seed: int, starts_at: datetime, ends_at: datetime) -> None:
        self.random = Random(seed)  # chance - for made-up data alone  # nosec B311
        self.starts_at, self.ends_at, self.now = starts_at, ends_at, starts_at
        self._agenda: list[tuple[datetime, int, Action]] = []
        self._turn = 0
        self._published: list[Record] = []
        self._last_id = 0

    def at(self, moment: datetime, action: Action) -> None:
        """Plans an action; at once if the moment has passed, and never if it is after the year."""
        if moment < self.ends_at:
            self._put(max(moment, self.now), action)

    def after(self, delay: timedelta, action: Action) -> None:
        """Plans an action."""
        self.at(self.now + delay, action)

    def soon(self, action: Action, least: float = 0.004, most: float = 0.04) -> None:
        """Plans what a service does about an event: between `least` and `most` seconds later. It is done after the year, too."""
        self._put(self.now + timedelta(microseconds=round(1e6 * self.random.uniform(least, most))), action)

    def chance(self, probability: float) -> bool:
        """Whether something happens that has this probability."""
        return self.random.random() < probability

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        """A time between the two, to the second."""
        return timedelta(seconds=round(self.random.uniform(least.total_seconds(), most.total_seconds())))

    def begin(self) -> Cause:
        """The cause of what a person or a deadline starts."""
        started = self._id()
        traceparent = f"00-{self.random.getrandbits(128):032x}-{self.random.getrandbits(64):016x}-01"
        return Cause(started, started, traceparent)

    def publish(self, event: Event, *, sequence: int, cause: Cause) -> Cause:
        """Publishes an event of this moment. Returns the cause of what it leads to."""
        record = encode(event, sequence=sequence, cause=cause, event_id=self._id(), time=self.now)
        self._published.append(record)
        return Cause(cause.correlation_id, record.id, cause.traceparent)

    def _put(self, moment: datetime, action: Action) -> None:
        self._turn += 1
        heappush(self._agenda, (moment, self._turn, action))

    def records(self) -> Iterator[Record]:
        """Runs the year. Holds no more than what is going on."""
        while self._agenda:
            self.now, _, action = heappop(self._agenda)
            with ids_from(self._id):
                action()
            if self._published:
                yield from self._published
                self._published.clear()

    def _id(self) -> str:
        """A UUIDv7 of this moment. Ids of one millisecond are in the order in which they were made (RFC 9562 §6.2)."""
        number = int(self.now.timestamp() * 1000) << 12
        self._last_id = number if number > self._last_id else self._last_id + 1
        value = (
            self._last_id >> 12 << 80 | 7 << 76 | (self._last_id & 0xFFF) << 64 | 2 << 62 | self.random.getrandbits(62)
        )
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def midnight(year: int, month: int = 1, day: int = 1) -> datetime:
    """The beginning of a day in UTC."""
    return datetime(year, month, day, tzinfo=UTC)


class Unit:
    """What a service's publishing functions need of a unit of work. `heard` is told each event and the cause that it gives."""

    def __init__(
        self, simulation: Simulation, cause: Cause, heard: Callable[[Event, Cause], None] = lambda event, cause: None
    ) -> None:
        self._simulation, self._heard = simulation, heard
        self.cause = cause

    @property
    def now(self) -> datetime:
        """The simulation's time."""
        return self._simulation.now

    def publish(self, event: Event, *, sequence: int, cause: Cause | None = None) -> None:
        """Publishes an event."""
        self._heard(event, self._simulation.publish(event, sequence=sequence, cause=cause or self.cause))

    def set_deadline(self, kind: str, entity_id: str, moment: datetime | None) -> None:
        """Not needed: whoever owns the entity plans what comes next."""
