"""What a process uses, also where the system does not tell all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from makegood_chassis import process_metrics
from makegood_chassis.metrics import REGISTRY_OF_PROCESS
from prometheus_client import generate_latest

FROM_PROC = ("process_memory_usage_bytes", "process_memory_virtual_bytes", "process_unix_file_descriptor_count")


def test_a_process_tells_its_memory_and_files() -> None:
    for name in FROM_PROC:
        assert (REGISTRY_OF_PROCESS.get_sample_value(name) or 0) > 0, name


def test_what_the_system_does_not_tell_is_left_out_and_the_rest_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_metrics, "_PROC", Path("/nowhere"))
    served = generate_latest(REGISTRY_OF_PROCESS).decode()
    assert "\nprocess_cpu_time_seconds_total{" in served
    for name in FROM_PROC:
        assert f"\n{name} " not in served
