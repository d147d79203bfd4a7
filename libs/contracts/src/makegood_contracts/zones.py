"""IANA time zone names that every service accepts."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Final

_NOT_PLACES: Final = {"Factory", "localtime", "posixrules", "Etc/Unknown"}
"""Names that `zoneinfo` lists but that are not zones of a place: placeholders, the machine's own zone, and bare rules."""


@cache
def zone_names() -> frozenset[str]:
    """All IANA zone names that this installation knows and that stand for a place or an offset."""
    return frozenset(zoneinfo.available_timezones() - _NOT_PLACES)
