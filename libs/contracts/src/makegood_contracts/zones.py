"""Time zones by name: the same ones for every service."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Final

_OF_NO_PLACE: Final = {"Factory", "localtime", "posixrules", "Etc/Unknown"}
"""What a machine shows before anybody has set its zone, what that machine's own clock shows, rules without a zone, and none."""


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone name that this installation knows and that names a place or an offset."""
    return frozenset(zoneinfo.available_timezones() - _OF_NO_PLACE)
