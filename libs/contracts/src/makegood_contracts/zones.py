"""Time zones by name: the same ones for every service."""

from __future__ import annotations

import zoneinfo
from functools import cache


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone name that this installation knows.

    Without `localtime`, which some machines keep among their zones: it says what that machine's own clock shows.
    """
    return frozenset(zoneinfo.available_timezones() - {"localtime"})
