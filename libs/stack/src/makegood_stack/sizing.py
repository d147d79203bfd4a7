"""How many processes, connections and how much disk a number of bookings needs (docs/how-to/scaling.md).

The costs were counted on the machine that `benchmarks/RESULTS.md` names, with `python benchmarks/sizing.py`. Processor time is
that machine's; measure on yours, and scale by the quotient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from makegood_contracts.topics import PARTITIONS

BOOKING_MS: Final[Mapping[str, float]] = {
    "booking-serve": 0.9,
    "booking-work": 1.0,
    "availability-serve": 0.02,
    "availability-work": 0.75,
    "credits-serve": 0.03,
    "credits-work": 0.8,
    "notifications-serve": 0.06,
    "notifications-work": 0.7,
    "gateway": 0.45,
    "postgresql": 1.7,
    "kafka": 1.5,
}
"""Milliseconds of a core for a booking from the request to `reserved`, at 105 bookings a second."""
READS_MS: Final[Mapping[str, float]] = {
    "booking-serve": 1.4,
    "availability-serve": 0.7,
    "credits-serve": 0.4,
    "notifications-serve": 1.0,
    "gateway": 0.6,
    "postgresql": 1.7,
}
"""The same for what a client app reads around it: slots of a day, bookability, the session twice, credits, a page of chat."""
BUSY: Final = 0.6
"""Share of a core that a process is planned to use at the peak, so that it stays quick and another one can be away."""
LEAST: Final = 2
"""Processes of each role, so that one can be restarted or lost."""
POOL: Final = 16
"""The default of DATABASE_POOL."""
OF_WORK: Final = 3 + 2 + 1 + 1
"""Connections of a process in role `work` besides its pool: relay, pruner, one that listens, and the probe."""
OF_SERVE: Final = 1 + 1
"""Connections of a process in role `serve` besides its pool: one that notifies, and the probe."""
DATABASE_BYTES: Final = 11_500
"""Growth of the four databases by a booking, indexes included."""
TOPIC_BYTES: Final = 5_400
"""Growth of the topics by a booking, on one broker."""
WAL_BYTES: Final = 21_000
"""Of a booking by itself. Under load they share transactions, and it is less."""


@dataclass(frozen=True)
class Size:
    """What a peak of so many bookings a second needs, on machines like the one that was measured."""

    processes: Mapping[str, int]
    """By service and role, such as `credits-work`, and `gateway`."""
    cores: Mapping[str, float]
    """By role as above, and `postgresql` and `kafka` for each of which one server is counted."""
    connections: Mapping[str, int]
    """Most connections to PostgreSQL, by service."""
    partitions: int
    """Partitions that the busiest topics need, so that each process in role `work` has some."""
    disk_gb_a_day: float
    """Growth of databases and topics, with one replica of each topic."""
    wal_gb_a_day: float


def size(peak: float, bookings_a_day: float) -> Size:
    """`peak`: bookings a second at the busiest time. Raises ValueError unless both are above 0."""
    if peak <= 0 or bookings_a_day <= 0:
        raise ValueError("bookings must be more than 0")
    cores = {role: peak * (cost + READS_MS.get(role, 0)) / 1000 for role, cost in BOOKING_MS.items()}
    processes = {
        role: max(LEAST, math.ceil(used / BUSY)) for role, used in cores.items() if role not in ("postgresql", "kafka")
    }
    connections: dict[str, int] = {}
    for name, number in processes.items():
        service, _, role = name.partition("-")
        if role:
            each = POOL + (OF_WORK if role == "work" else OF_SERVE)
            connections[service] = connections.get(service, 0) + number * each
    workers = max(number for name, number in processes.items() if name.endswith("-work"))
    return Size(
        processes=processes,
        cores=cores,
        connections=connections,
        partitions=max(PARTITIONS, workers),
        disk_gb_a_day=bookings_a_day * (DATABASE_BYTES + TOPIC_BYTES) / 1e9,
        wal_gb_a_day=bookings_a_day * WAL_BYTES / 1e9,
    )
