"""Venues as messages name them (NOTE-1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Venue:
    """What a venue is called and, if that was said, where it is."""

    name: str
    place: str | None = None

    @property
    def text(self) -> str:
        return f"{self.name}, {self.place}" if self.place else self.name


Venues = Mapping[str, Venue]
"""By their ids."""
NO_VENUES: Final[Venues] = {}

# Control characters, which no name and no wording holds.
_BEGIN, _BETWEEN, _END = "\x02", "\x1f", "\x03"
_TO_BE_NAMED: Final = re.compile(f"{_BEGIN}([^{_BETWEEN}]*){_BETWEEN}([^{_END}]*){_END}")


def to_be_named(venue_id: str, meanwhile: str) -> str:
    """What stands in a text that is kept for a venue of which nothing is known yet; `meanwhile` is shown until then."""
    return f"{_BEGIN}{venue_id}{_BETWEEN}{meanwhile}{_END}"


def named_in(text: str) -> set[str]:
    """The venues that are to be named in a text."""
    return {found[1] for found in _TO_BE_NAMED.finditer(text)} if _BEGIN in text else set()


def with_names(text: str, venues: Venues) -> str:
    """The text as it reads with what is known of the venues now."""
    if _BEGIN not in text:
        return text
    return _TO_BE_NAMED.sub(lambda found: venues[found[1]].text if found[1] in venues else found[2], text)
