"""Where a message comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood_contracts.envelope import Cause, Received


@dataclass(frozen=True, slots=True)
class Origin:
    """The event a message tells of. `occurred_at` is the real time at which it was published."""

    event_id: str
    correlation_id: str
    traceparent: str | None
    occurred_at: datetime

    @property
    def cause(self) -> Cause:
        """The cause of what follows from the message."""
        return Cause(self.correlation_id, self.event_id, self.traceparent)


def origin_of(received: Received[Any]) -> Origin:
    """The origin of messages about this event."""
    return Origin(received.id, received.correlation_id, received.traceparent, received.time)
