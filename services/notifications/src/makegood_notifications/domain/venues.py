"""Venues as messages name them (NOTE-1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue's name and, if given, its place."""

    name: str
    place: str | None = None

    @property
    def text(self) -> str:
        return f"{self.name}, {self.place}" if self.place else self.name


Venues = Mapping[str, Venue]
"""Venues by id."""
NO_VENUES: Final[Venues] = {}

# Control characters do not occur in names or texts.
_BEGIN, _BETWEEN, _END = "\x02", "\x1f", "\x03"
_TO_BE_NAMED: Final = re.compile(f"{_BEGIN}([^{_BETWEEN}]*){_BETWEEN}([^{_END}]*){_END}")


def to_be_named(venue_id: str, meanwhile: str) -> str:
    """A placeholder in a stored text, for a venue that is not known yet. `meanwhile` is shown until it is."""
    return f"{_BEGIN}{venue_id}{_BETWEEN}{meanwhile}{_END}"


def named_in(text: str) -> set[str]:
    """The venues that have a placeholder in the text."""
    return {found[1] for found in _TO_BE_NAMED.finditer(text)} if _BEGIN in text else set()


def with_names(text: str, venues: Venues) -> str:
    """The text with its placeholders filled in, as far as the venues are known now."""
    if _BEGIN not in text:
        return text
    return _TO_BE_NAMED.sub(lambda found: venues[found[1]].text if found[1] in venues else found[2], text)
