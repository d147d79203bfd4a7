"""The calculation behind the sizing table."""

from __future__ import annotations

import re

import pytest
from makegood_stack import sizing
from makegood_stack.home import find_root
from makegood_stack.ports import SERVICES
from makegood_stack.sizing import size

TABLE = re.compile(r"^\| (\d+) \| ([\d.]+) million \| (.+?) \| .+? \| .+? \| .+? \| (\d+) \|", re.MULTILINE)


def test_every_role_is_sized_and_one_of_each_can_always_be_away() -> None:
    small = size(1, 1000)
    roles = {f"{service}-{role}" for service in SERVICES for role in ("serve", "work")}
    assert small.processes == dict.fromkeys((*sorted(roles), "gateway"), 2)
    assert small.partitions == 12


def test_processes_follow_from_the_time_of_a_booking_and_the_share_that_may_be_used() -> None:
    peak = 500
    found = size(peak, 1)
    each = (sizing.BOOKING_MS["booking-serve"] + sizing.READS_MS["booking-serve"]) / 1000
    needed = found.processes["booking-serve"]
    assert peak * each / needed <= sizing.BUSY < peak * each / (needed - 1)
    assert found.cores["booking-serve"] == pytest.approx(peak * each)


def test_connections_are_those_of_all_processes_at_their_limits() -> None:
    found = size(1, 1)
    assert found.connections["credits"] == 2 * (16 + 1 + 1) + 2 * (16 + 3 + 2 + 1 + 1)


def test_partitions_are_enough_for_each_process_that_works() -> None:
    many = size(20_000, 1)
    assert many.partitions == max(count for role, count in many.processes.items() if role.endswith("-work")) > 12


def test_disk_follows_from_the_day() -> None:
    assert size(1, 2e6).disk_gb_a_day == pytest.approx(2 * size(1, 1e6).disk_gb_a_day)


@pytest.mark.parametrize(("peak", "day"), [(0, 1), (1, 0), (-1, 1)])
def test_there_is_nothing_to_size_without_bookings(peak: float, day: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        size(peak, day)


def test_the_table_in_the_documentation_is_what_the_calculation_says() -> None:
    rows = TABLE.findall((find_root() / "docs" / "how-to" / "scaling.md").read_text())
    assert len(rows) >= 4
    for peak, day, told, connections in rows:
        found = size(float(peak), float(day) * 1e6)
        parts = [
            f"{found.processes[f'{service}-serve']} + {found.processes[f'{service}-work']}" for service in SERVICES
        ]
        assert told == " · ".join(parts), peak
        assert int(connections) == sum(found.connections.values()), peak
