"""Parses and prints durations, such as `90s`, `15m`, `48h` or `25d`."""

from __future__ import annotations

import re
from datetime import timedelta

from makegood_devtools.errors import UserError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """A positive duration such as `90s`, `15m`, `48h`, `25d` or `1h30m`. Raises UserError (exit code 2)."""
    pieces = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not pieces or "".join(n + u for n, u in pieces) != text:
        raise UserError(f"{text!r} is not a duration. Examples: 90s, 15m, 48h, 25d", exit_code=2)
    try:
        total = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in pieces), timedelta())
    except OverflowError:
        raise UserError(f"{text} is too long", exit_code=2) from None
    if total <= timedelta():
        raise UserError(f"{text} is not more than zero", exit_code=2)
    return total


def human(seconds: float | None) -> str:
    """Formats seconds for people."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
