"""The stack on this machine, started as a user does; killed, repaired, stopped. Servers only: services have their stories."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events.rooms import RoomOpened
from makegood_stack import postgres
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES
from makegood_stack.processes import Supervisor
from makegood_testkit.cli import Cli

pytestmark = pytest.mark.slow
SERVERS = ("kafka", "postgresql", "redis", "mail")
ONLY = tuple(word for part in SERVERS for word in ("--only", part))


def up(cli: Cli, offset: int) -> subprocess.CompletedProcess[str]:
    return cli("up", "--port-offset", str(offset), *ONLY)


def pids(home: Home) -> dict[str, int]:
    return {name: record.pid for name, record in Supervisor(home).running().items()}


@pytest.fixture(scope="module")
def stack(cli: Cli, home: Home, offset: int) -> Stack:
    result = up(cli, offset)
    assert result.returncode == 0, result.stderr
    assert "Makegood is up" in result.stdout
    return Stack.of(home, Choices(port_offset=offset))


async def test_up_again_changes_nothing(cli: Cli, home: Home, stack: Stack) -> None:
    before = pids(home)
    assert set(before) == set(SERVERS)
    result = cli("up", *ONLY)
    assert result.returncode == 0
    assert "ready after" not in result.stdout
    assert pids(home) == before


async def test_each_service_has_a_database_that_the_others_cannot_enter(stack: Stack) -> None:
    for service in SERVICES:
        own = await asyncpg.connect(stack.database_url(service))
        await own.close()
        foreign = stack.database_url(service).replace(
            f"//{service}:", "//credits:" if service != "credits" else "//booking:"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(foreign)


async def test_status_tells_every_process_and_what_is_down(cli: Cli, stack: Stack) -> None:
    result = cli("status", "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    health = {p["name"]: p["health"] for p in found["processes"]}
    assert {n: health[n] for n in SERVERS} == dict.fromkeys(SERVERS, "ready")
    assert health["booking"] == "down"
    assert result.returncode == 1
    assert [o["service"] for o in found["outboxes"]] == list(SERVICES)
    assert found["port_offset"] == stack.choices.port_offset
    assert found["choices"] == f"--port-offset {stack.choices.port_offset}"
    assert f"--port-offset {stack.choices.port_offset}" in cli("status").stdout
    assert "kafka" in cli("status").stdout


async def _open_room(stack: Stack, room: str) -> str:
    now = datetime.now(UTC)
    event = RoomOpened(room_id=room, member_id="m-1", provider_id="p-1", room_version=1, opened_at=now)
    record = encode(event, sequence=1, cause=Cause("story-1", "request-1"))
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    headers = [(name, value.encode()) for name, value in record.headers]
    await producer.send_and_wait(record.topic, record.value, key=record.key.encode(), headers=headers)
    await producer.stop()
    return record.id


async def test_tail_shows_events_with_key_type_and_story(cli: Cli, stack: Stack) -> None:
    event_id = await _open_room(stack, "room-1")
    await _open_room(stack, "room-2")
    line = cli("topics", "tail", "rooms", "--key", "room-1", "--until-end").stdout
    assert "booking.rooms.v1" in line
    assert "RoomOpened" in line
    assert "room-1" in line
    assert event_id in line
    assert "room-2" not in line
    events = [json.loads(x) for x in cli("topics", "tail", "--json", "--until-end").stdout.splitlines()]
    (event,) = [e for e in events if e["id"] == event_id]
    assert event["payload"]["provider_id"] == "p-1"
    assert (event["correlation_id"], event["causation_id"]) == ("story-1", "request-1")
    assert 0 <= event["latency"] < 60


async def test_kill_minus_nine_of_everything_is_repaired_and_data_stays(
    cli: Cli, home: Home, offset: int, stack: Stack
) -> None:
    admin = await asyncpg.connect(postgres.admin_url(stack.ports.of("postgresql")))
    await admin.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS n")
    admin.terminate()
    await _open_room(stack, "room-3")
    before = pids(home)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    result = up(cli, offset)
    assert result.returncode == 0, result.stderr
    after = pids(home)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    admin = await asyncpg.connect(postgres.admin_url(stack.ports.of("postgresql")))
    assert await admin.fetchval("SELECT n FROM kept") == 42
    await admin.close()
    assert "room-3" in cli("topics", "tail", "rooms", "--until-end").stdout


async def test_an_up_that_was_killed_in_the_middle_is_repaired(cli: Cli, home: Home, offset: int, stack: Stack) -> None:
    (home.run / "redis.json").unlink()
    result = up(cli, offset)
    assert result.returncode == 0, result.stderr
    assert set(pids(home)) == set(SERVERS)


async def test_another_offset_while_running_is_refused(cli: Cli, offset: int, stack: Stack) -> None:
    result = cli("up", "--port-offset", str(offset + 100), *ONLY)
    assert result.returncode == 1
    assert f"running with port offset {offset}" in result.stderr


async def test_down_stops_all_frees_ports_and_up_names_who_took_one(
    cli: Cli, home: Home, offset: int, stack: Stack
) -> None:
    assert cli("down").returncode == 0
    assert pids(home) == {}
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", stack.ports.of("redis")))
        thief.listen()
        result = up(cli, offset)
        assert result.returncode == 1
        assert "ready after" not in result.stdout
        assert pids(home) == {}
        assert f"port {stack.ports.of('redis')} for Redis is taken by" in result.stderr
        assert f"pid {os.getpid()}" in result.stderr
        assert "--port-offset" in result.stderr
    result = up(cli, offset)
    assert result.returncode == 0, result.stderr
    assert cli("down").returncode == 0
    assert "nothing was running" in cli("down").stdout


def test_ctrl_c_while_starting_is_a_clear_word_and_up_goes_on(cli: Cli, home: Home, offset: int, stack: Stack) -> None:
    cli("down")
    process = subprocess.Popen(
        [sys.executable, "-m", "makegood_cli.main", "up", *ONLY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MAKEGOOD_HOME": str(home.state.parent), "PYTHONUNBUFFERED": "1"},
        # A test run in the background may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert "ready after" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    result = up(cli, offset)
    assert result.returncode == 0, result.stderr
    assert set(pids(home)) == set(SERVERS)


def test_a_part_alone_needs_no_broker(cli: Cli, home: Home, offset: int, stack: Stack) -> None:
    cli("down")
    result = cli("up", "--port-offset", str(offset), "--only", "redis")
    assert result.returncode == 0, result.stderr
    assert set(pids(home)) == {"redis"}
