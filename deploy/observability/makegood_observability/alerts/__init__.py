"""Every alert, by group."""

from __future__ import annotations

from typing import Final

from makegood_observability.alert import Alert
from makegood_observability.alerts.messaging import EVENTS
from makegood_observability.alerts.processes import SATURATION, SERVERS
from makegood_observability.alerts.promises import PROMISES
from makegood_observability.alerts.requests import REQUESTS

GROUPS: Final[dict[str, tuple[Alert, ...]]] = {
    "servers": SERVERS,
    "events": EVENTS,
    "requests": REQUESTS,
    "promises": PROMISES,
    "saturation": SATURATION,
}
ALERTS: Final = tuple(alert for group in GROUPS.values() for alert in group)
