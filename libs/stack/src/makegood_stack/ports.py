"""The ports of all parts, and a clear message if one is taken."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psutil
from makegood_devtools.errors import UserError

from makegood_stack.port_claims import claim

SERVICES = ("booking", "availability", "credits", "notifications")
_BASE = {
    "gateway": 8080,
    "gateway_admin": 9901,
    "kafka": 9092,
    "kafka_controller": 9093,
    "postgresql": 5432,
    "redis": 6379,
    "smtp": 1025,
    "mail": 8025,
    "booking": 8101,
    "availability": 8102,
    "credits": 8103,
    "notifications": 8104,
}
LISTEN = "127.0.0.1"
PROBES = "probes"
PROBES_ABOVE = 1000
"""The distance from a service's HTTP port to its probe port."""
MOST_PROCESSES = 9
"""Of a service, or of each role of a service."""
_BELOW_DEFAULTS, _OUTGOING = 10_000, 32_768
LARGEST_OFFSET = 65535 - max(_BASE.values()) - 10 * (MOST_PROCESSES - 1)


@dataclass(frozen=True)
class Ports:
    """The ports of a stack: the defaults plus `offset`."""

    offset: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= LARGEST_OFFSET:
            raise UserError(f"--port-offset must be between 0 and {LARGEST_OFFSET}", exit_code=2)

    def of(self, name: str) -> int:
        return _BASE[name] + self.offset

    def of_service(self, service: str, place: int = 1) -> int:
        """The HTTP port of a service's process at this place, counted from 1 in steps of ten."""
        return self.of(service) + 10 * (place - 1)

    def of_process(self, name: str, service: str, place: int, *, serves: bool = True) -> dict[str, int]:
        """All ports of a service's process, the probe port last. One that serves no requests has only that."""
        port = self.of_service(service, place)
        return {**({name: port} if serves else {}), f"{name}'s {PROBES}": port + PROBES_ABOVE}

    def of_part(self, part: str) -> dict[str, int]:
        """All ports of a part that is no service, what for → number, as messages call them."""
        return {what: self.of(name) for what, name in _PARTS[part].items()}


_PARTS = {
    "kafka": {"Kafka": "kafka", "Kafka's controller": "kafka_controller"},
    "postgresql": {"PostgreSQL": "postgresql"},
    "redis": {"Redis": "redis"},
    "mail": {"mail (SMTP)": "smtp", "the mail page": "mail"},
    "gateway": {"the gateway": "gateway", "the gateway's administration": "gateway_admin"},
}


def is_free(port: int) -> bool:
    """Whether the port is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LISTEN, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str | None:
    """The process that listens on the port, as `name (pid N)`, if this user may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return None
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def require_free(wanted: Mapping[str, int], offset: int, *, running: bool = False) -> None:
    """Raises UserError if ports of `wanted` (purpose → port) are taken, with the processes that hold them and advice.

    `running`: whether parts of this stack are running; they must be stopped before ports can change.
    """
    taken = {what: port for what, port in wanted.items() if not is_free(port)}
    if not taken:
        return
    lines = [f"port {port} for {what} is taken by {holder(port) or 'another program'}" for what, port in taken.items()]
    found = free_offset(offset, {port - offset for port in wanted.values()})
    command = f"makegood up --port-offset {found if found is not None else 'N'}"
    lines.append(f"Stop it, or use other ports: {'makegood down && ' if running else ''}{command}")
    raise UserError("\n".join(lines))


def free_offset(present: int, bases: Collection[int] = ()) -> int | None:
    """An offset with which all default ports and `bases` are free now, or None."""
    wanted = {*_BASE.values(), *(_BASE[service] + PROBES_ABOVE for service in SERVICES), *bases}
    upwards = range(present - present % 1000 + 1000, LARGEST_OFFSET + 1, 1000)
    downwards = range(0, min(present, LARGEST_OFFSET + 1), 1000)
    offset: int
    for offset in itertools.chain(upwards, downwards):
        if all(base + offset <= 65535 and is_free(base + offset) for base in wanted):
            return offset
    return None


def free_ports(count: int) -> list[int]:
    """Free ports for the servers of a test. No other process gets them here until this one ends."""
    # Below the range for outgoing connections, which could take a port first.
    candidates = random.sample(range(_BELOW_DEFAULTS, _OUTGOING), k=_OUTGOING - _BELOW_DEFAULTS)
    return list(itertools.islice((port for port in candidates if is_free(port) and claim([port])), count))


def free_port() -> int:
    """One free port."""
    return free_ports(1)[0]
