"""Supervision: only our own processes are signalled, remains are found, one command at a time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from makegood_devtools.errors import UserError
from makegood_stack.config import PARTS
from makegood_stack.home import Home, reachable_by_others
from makegood_stack.locks import exclusive
from makegood_stack.ports import (
    LARGEST_OFFSET,
    SERVICES,
    Ports,
    free_offset,
    free_port,
    free_ports,
    holder,
    is_free,
    require_free,
)
from makegood_stack.processes import Spec, Supervisor, identity
from makegood_testkit.waiting import until

SLEEP = (sys.executable, "-c", "import time; time.sleep(300)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(300)",
)


def test_a_recycled_pid_is_never_signalled(home: Home) -> None:
    supervisor = Supervisor(home)
    record = supervisor.start(Spec("one", SLEEP))
    stranger = subprocess.Popen(SLEEP)
    try:
        path = home.run / "one.json"
        content = json.loads(path.read_text()) | {"pid": stranger.pid}
        path.write_text(json.dumps(content))
        assert supervisor.running() == {}
        forged = type(record)(**content)
        assert supervisor.stop([forged]) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        supervisor.stop([record])
    assert identity(record.pid) != record.started


def test_what_an_interrupted_up_left_is_found_by_its_mark(home: Home) -> None:
    supervisor = Supervisor(home)
    record = supervisor.start(Spec("two", SLEEP))
    (home.run / "two.json").unlink()
    # The parent is this process, which is alive: seen from another one it is a remainder.
    script = (
        "import sys; from pathlib import Path; from makegood_stack.home import Home;"
        "from makegood_stack.processes import Supervisor;"
        "print(Supervisor(Home(Path(sys.argv[1]), Path(sys.argv[2]))).remove_remains())"
    )
    command = [sys.executable, "-c", script, str(home.root), str(home.state)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['two']"
    assert not supervisor.alive(record)


def test_a_process_that_ignores_the_signal_is_killed_in_the_end(home: Home) -> None:
    supervisor = Supervisor(home)
    record = supervisor.start(Spec("three", STUBBORN, stop_seconds=0.3))
    until(lambda: "on" in supervisor.last_lines("three"))
    assert supervisor.stop([record]) == ["three"]
    assert supervisor.running() == {}


def test_a_killed_process_is_not_running(home: Home) -> None:
    supervisor = Supervisor(home)
    record = supervisor.start(Spec("four", SLEEP))
    os.kill(record.pid, signal.SIGKILL)
    os.waitpid(record.pid, 0)
    assert supervisor.running() == {}


def test_a_stale_lock_is_harmless_and_a_held_one_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("makegood up, pid 999999\n")
    with (
        exclusive(path, "up"),
        pytest.raises(UserError, match=rf"makegood up, pid {os.getpid()}"),
        exclusive(path, "down"),
    ):
        pass
    with exclusive(path, "down"):
        pass


def test_a_taken_port_is_named_with_its_holder() -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (holder(port) or "").endswith(f"(pid {other.pid})"), what="the server")
        with pytest.raises(UserError) as found:
            require_free({"Kafka": port}, 0)
        assert f"port {port} for Kafka is taken by" in found.value.message
        assert f"pid {other.pid}" in found.value.message
        assert "--port-offset" in found.value.message
    finally:
        other.kill()
        other.wait()


def _ports(ports: Ports, part: str) -> list[int]:
    found = ports.of_process(part, part, 1) if part in SERVICES else ports.of_part(part)
    return list(found.values())


def test_every_taken_port_is_named_and_the_offset_that_is_advised_works() -> None:
    ports = dict(zip(("Kafka", "Redis", "the gateway"), free_ports(3), strict=True))
    with socket.create_server(("127.0.0.1", ports["Kafka"])), socket.create_server(("127.0.0.1", ports["Redis"])):
        with pytest.raises(UserError) as caught:
            require_free(ports, 0, running=True)
        lines = caught.value.message.splitlines()
        assert [line.partition(" is taken")[0] for line in lines[:-1]] == [
            f"port {ports['Kafka']} for Kafka",
            f"port {ports['Redis']} for Redis",
        ]
        assert all(f"pid {os.getpid()}" in line for line in lines[:-1])
        before, _, offset = lines[-1].rpartition(" ")
        assert before == "Stop it, or use other ports: makegood down && makegood up --port-offset"
        assert all(is_free(port) for name in PARTS for port in _ports(Ports(int(offset)), name))


def test_the_offset_that_is_advised_passes_over_what_is_taken_and_never_leaves_the_bounds() -> None:
    first = free_offset(0)
    assert first is not None
    with socket.create_server(("127.0.0.1", Ports(first).of("redis"))):
        second = free_offset(0)
        assert second is not None
        assert second > first
        assert free_offset(0, {Ports(first).of("redis") - second}) not in (first, second)
    last = free_offset(LARGEST_OFFSET)
    assert last is not None
    assert Ports(last)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another user")
def test_below_a_folder_that_others_may_not_enter_postgresql_stands_elsewhere(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    inner = Home(closed, closed / ".makegood")
    inner.make()
    assert not reachable_by_others(inner.state)
    folder = inner.postgres_folder()
    try:
        assert closed not in folder.parents
        assert reachable_by_others(folder.parent)
        assert inner.postgres_folder() == folder
    finally:
        folder.parent.rmdir()
