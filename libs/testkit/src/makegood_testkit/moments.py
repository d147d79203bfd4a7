"""When an event is possible, so that tests can hand a service later events without moving its clock first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from makegood_contracts.events import Event
from makegood_contracts.events.possible import possible_after, stated_moment


def possible_at(events: Iterable[Event], now: datetime) -> datetime:
    """The first moment from `now` on at which all of the events are possible, as far as the events themselves say."""
    moments = [now]
    for event in events:
        times: Any = event
        stated, after = stated_moment(event), possible_after(event)
        if stated is not None:
            moments.append(stated)
        if after is not None:
            moments.append((times.starts_at if after[0] == "start" else times.ends_at) + after[1])
    return max(moments)
