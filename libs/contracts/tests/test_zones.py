"""The zones that people may choose: every place and offset, and nothing else."""

from __future__ import annotations

import pytest
from makegood_contracts.zones import zone_names


@pytest.mark.rule("BOOK-2")
@pytest.mark.parametrize(
    "name", ["Factory", "localtime", "posixrules", "Etc/Unknown", "posix/UTC", "right/UTC", "", "europe/berlin"]
)
def test_what_names_no_place_and_no_offset_is_no_zone(name: str) -> None:
    assert name not in zone_names()


@pytest.mark.rule("BOOK-2")
@pytest.mark.parametrize("name", ["Europe/Berlin", "America/Argentina/Ushuaia", "UTC", "Etc/GMT+5", "Pacific/Chatham"])
def test_places_and_offsets_are_zones(name: str) -> None:
    assert name in zone_names()
