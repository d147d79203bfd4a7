"""Venues as messages name them (NOTE-1)."""

from __future__ import annotations

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
