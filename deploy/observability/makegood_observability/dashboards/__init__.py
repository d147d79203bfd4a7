"""Every dashboard, by the name of its file."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.dashboards import bookings, events, gateway, made_good, services

DASHBOARDS: Final[dict[str, Dashboard]] = {
    "services": services.board(),
    "bookings": bookings.board(),
    "made-good": made_good.board(),
    "events": events.board(),
    "gateway": gateway.board(),
}
