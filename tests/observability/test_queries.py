"""A real Prometheus scrapes the running platform, and every panel and alert finds data there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from makegood_devtools.client import Refused
from makegood_observability.alerts import ALERTS
from makegood_observability.dashboards import DASHBOARDS
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.prometheus import Prometheus, hastened, targets
from makegood_testkit.waiting import eventually

_VARIABLES = {"$namespace": ".*", "$job": ".*", "$__rate_interval": "40s", "$__range": "40s"}


def _panels() -> Iterator[tuple[str, str]]:
    """The name and query of everything that the dashboards draw."""
    for name, board in DASHBOARDS.items():
        for panel in board.build().panels or ():
            for target in getattr(panel, "targets", None) or ():
                yield f"{name}: {panel.title}", target.expr


def _queries() -> dict[str, str]:
    """Every query, by what it is for. Panels that draw several lines have several."""
    found: dict[str, str] = {}
    for number, (name, query) in enumerate(_panels()):
        for variable, value in _VARIABLES.items():
            query = query.replace(variable, value)
        found[f"{name} ({number})"] = query
    for alert in ALERTS:
        for number, series in enumerate(alert.missing or (alert.signal,)):
            found[f"alert {alert.name} ({number})"] = hastened(re.sub(r" offset \d+m", "", series), 20)
    return found


def _is_number(series: dict[str, Any]) -> bool:
    return not math.isnan(float(series["value"][1]))


async def _everything_happens(cast: Cast) -> None:
    """A session is missed, and another is refused: what the dashboards are about."""
    missed = await cast.confirmed()
    with pytest.raises(Refused):
        await cast.member.post("/v1/sessions", cast.booking_body(datetime.fromisoformat(missed["starts_at"])), wait=15)
    await cast.platform.advance_to(datetime.fromisoformat(missed["starts_at"]) + timedelta(minutes=10))
    await cast.settled(missed, "provider_missed", "returned")
    await cast.inbox().wait_for("Your provider missed your scheduled session.")


@pytest.mark.slow
@pytest.mark.usefixtures("prometheus_installed")
async def test_every_panel_and_every_alert_finds_data(platform: Platform, cast: Cast, tmp_path: Path) -> None:
    with Prometheus(tmp_path / "prometheus", targets(platform)) as prometheus:
        await eventually(lambda: prometheus.value("min(up)") == 1, what="all targets")
        await eventually(lambda: (prometheus.value("min(count_over_time(up[20s]))") or 0) >= 2, what="two scrapes")
        # Twice, because Prometheus sees how much a series grows, and some series begin with the first time.
        await _everything_happens(cast)
        await _everything_happens(cast)
        queries = _queries()

        missing: list[str] = []

        def all_found() -> bool:
            missing[:] = [name for name, query in queries.items() if not any(map(_is_number, prometheus.query(query)))]
            return not missing

        with suppress(pytest.fail.Exception):
            await eventually(all_found, seconds=30)
        assert missing == []
