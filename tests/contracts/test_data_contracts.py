"""The data contracts, judged by datacontract-cli: they follow the standard, and what the platform publishes keeps them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from makegood_contracts.events import SessionStarted
from makegood_contracts.publishing.examples import record_of
from makegood_contracts.topics import TOPICS
from makegood_testkit.chaos import MixedLoad, drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import eventually

pytestmark = pytest.mark.extended
ROOT = Path(__file__).parents[2]
BUSY = ("booking.sessions", "availability.reservations", "credits.holds", "credits.ledger", "notifications.deliveries")
"""Topics that mixed load writes to."""


def checked(kafka: str = "", prefix: str = "") -> tuple[int, list[str]]:
    """The exit code and the lines of `make data-contracts`."""
    asked = (f"KAFKA={kafka}", f"ARGS=--prefix '{prefix}'") if kafka else ()
    command = ("make", "--no-print-directory", "data-contracts", *asked)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, (done.stdout + done.stderr).splitlines()


async def test_the_linter_finds_nothing_and_live_topics_keep_their_contracts() -> None:
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        async with platform.running():
            load = await MixedLoad.prepare(platform, members=12, providers=4)
            loading = asyncio.create_task(load.run(600))
            try:
                await eventually(lambda: len(load.ledger.booked) >= 60 and load.ledger.cancelled, seconds=180)
            finally:
                load.stop()
                await loading
            await drained(platform)
            code, lines = await asyncio.to_thread(checked, str(platform.stack.kafka), platform.topic_prefix)
    assert code == 0, "\n".join(lines)
    assert lines[-1].endswith(f"{len(TOPICS)} data contracts, 0 broken")
    told = dict(line.split(": ", 1) for line in lines if ": " in line)
    for name in BUSY:
        assert re.fullmatch(r"\d+ records, \d+ checks", told[f"{name}.v1"]), told[f"{name}.v1"]


BROKEN: Mapping[str, Mapping[str, Any]] = {
    "Check that field modality has invalid_count = 0": {"modality": "telepathy"},
    "It ends after it starts": {"starts_at": "2026-11-24T12:00:00Z"},
    "The length is the time from start to end": {"length_minutes": 50},
    "Check that field member_id has no missing values": {"member_id": None},
    "Check that field ends_at has no missing values": {"ends_at": None},
    "Check that field session_version has a minimum of 1": {"session_version": 0},
}
"""A change of a record by the check that has to find it."""


async def test_records_that_break_their_contract_are_found(kafka_servers: str, topic_prefix: str) -> None:
    record = record_of(SessionStarted)
    async with AIOKafkaProducer(bootstrap_servers=kafka_servers) as producer:
        for change in ({}, *BROKEN.values()):
            value = json.dumps({**json.loads(record.value), **change}).encode()
            await producer.send_and_wait(topic_prefix + record.topic, value, key=record.key.encode())
    code, lines = await asyncio.to_thread(checked, kafka_servers, topic_prefix)
    assert (code, "booking.sessions.v1: BROKEN" in lines) == (2, True), "\n".join(lines)
    for check in BROKEN:
        assert any(check in line for line in lines), "\n".join(lines)
