"""Background processes that outlive the command and are found again later.

A process is identified by its pid *and* start time, so that a recycled pid is never signalled. Its log and environment
also mark it, to find a process whose starter was killed before it could record it.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from makegood_stack.home import Home

_MARK_HOME = "MAKEGOOD_STACK"
_MARK_NAME = "MAKEGOOD_PROCESS"
_LOG_LIMIT = 20 << 20


@dataclass(frozen=True)
class Spec:
    """How to start a process. `ports`: number by purpose. `stop_seconds`: how long to wait before SIGKILL."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    user: int | None = None
    group: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20
    version: str = ""
    role: str = ""
    """Of a service's process."""

    @property
    def fingerprint(self) -> str:
        """Differs from a running process's fingerprint if that must be restarted."""
        parts = [self.command, sorted(self.environment.items()), self.version, self.user]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Running:
    """The record of a running process."""

    name: str
    pid: int
    started: str
    fingerprint: str
    ports: dict[str, int]
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 20
    role: str = ""


def identity(pid: int) -> str | None:
    """A unique identity of a process, from its start time. None if it has exited or is a zombie."""
    try:
        if sys.platform == "linux":
            stat = Path(f"/proc/{pid}/stat").read_text()
            fields = stat[stat.rindex(")") + 2 :].split()
            if fields[0] in "ZX":
                return None
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}:{pid}:{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{pid}:{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return None


class Supervisor:
    """Starts, finds and stops the processes of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def running(self) -> dict[str, Running]:
        """All running processes of the stack. Removes the records of others."""
        found: dict[str, Running] = {}
        for path in sorted(self._home.run.glob("*.json")):
            try:
                record = Running(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                path.unlink(missing_ok=True)
                continue
            if identity(record.pid) == record.started:
                found[record.name] = record
            else:
                path.unlink(missing_ok=True)
        return found

    def start(self, spec: Spec, *, die_with_parent: bool = False) -> Running:
        """Starts the process and records it. Raises OSError if the program cannot be run."""
        log = self._home.log(spec.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        environment = {**os.environ, **spec.environment}
        environment |= {_MARK_HOME: str(self._home.state), _MARK_NAME: spec.name}
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - the command is our own
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=spec.folder,
                env=environment,
                start_new_session=True,
                user=spec.user,
                group=spec.group,
                extra_groups=[] if spec.user is not None else None,
                preexec_fn=_die_with_parent if die_with_parent else None,
            )
        started = identity(process.pid) or ""
        record = Running(
            name=spec.name,
            pid=process.pid,
            started=started,
            fingerprint=spec.fingerprint,
            ports=dict(spec.ports),
            stop_signal=spec.stop_signal,
            stop_seconds=spec.stop_seconds,
            role=spec.role,
        )
        self._write(record)
        return record

    def _write(self, record: Running) -> None:
        path = self._home.run / f"{record.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps(record.__dict__))
        fresh.replace(path)

    def alive(self, record: Running) -> bool:
        reap(record.pid)
        return identity(record.pid) == record.started

    def signal(self, record: Running, number: int) -> None:
        """Sends a signal if the process is still the one in the record."""
        if identity(record.pid) == record.started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, number)

    def stop(self, records: Iterable[Running]) -> list[str]:
        """Stops the processes in parallel, with SIGKILL after a time-out. Returns the names of those that were killed."""
        waiting = list(records)
        for record in waiting:
            self.signal(record, record.stop_signal)
        begun = time.monotonic()
        killed: list[str] = []
        pending = list(waiting)
        while pending:
            pending = [r for r in pending if self.alive(r)]
            for record in pending:
                if time.monotonic() - begun > record.stop_seconds and record.name not in killed:
                    killed.append(record.name)
                    self.signal(record, signal.SIGKILL)
            if pending:
                time.sleep(0.02)
        for record in waiting:
            self.remove_remains(record.name)
            (self._home.run / f"{record.name}.json").unlink(missing_ok=True)
        return killed

    def _name_of(self, process: psutil.Process) -> str | None:
        """The name of the stack's process that this is, or is a child of, or None.

        Some servers overwrite their environment, but standard output is always our log.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                output = Path(f"/proc/{process.pid}/fd/1").readlink()
                if output.parent == self._home.logs:
                    return output.name.split(".log")[0]
        with contextlib.suppress(psutil.Error, OSError):
            marks = process.environ()
            if marks.get(_MARK_HOME) == str(self._home.state):
                return marks.get(_MARK_NAME)
        return None

    def remove_remains(self, name: str | None = None) -> list[str]:
        """Stops our processes that have no record: children of a killed server, or those of a killed `up`.

        With `name`, only those of that process. Returns their names.
        """
        known = {r.pid for r in self.running().values()} | {os.getpid()}
        remains: dict[int, tuple[str, str]] = {}
        for process in psutil.process_iter(["pid"]):
            started = identity(process.pid)
            if started is None or process.pid in known:
                continue
            found = self._name_of(process)
            if found is None or (name is not None and found != name):
                continue
            with contextlib.suppress(psutil.Error):
                if not any(parent.pid in known for parent in process.parents()):
                    remains[process.pid] = (started, found)
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0)):
            until = time.monotonic() + patience
            left = {pid for pid, (started, _) in remains.items() if identity(pid) == started}
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            while left and time.monotonic() < until:
                time.sleep(0.02)
                left = {pid for pid in left if identity(pid) == remains[pid][0]}
        return sorted({found for _, found in remains.values()})

    def last_lines(self, name: str, count: int = 12) -> str:
        """The end of a process's log, for an error message."""
        try:
            with self._home.log(name).open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - 8192))
                lines = stream.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-count:])


def reap(pid: int) -> None:
    """Reaps an exited child of this process, so that it does not stay a zombie."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)


def _die_with_parent() -> None:
    """On Linux, ends the servers of a test run with it, even if it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
