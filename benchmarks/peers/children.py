"""Starts the processes of a peer on the loopback, and stops them."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"
_PATIENCE = 60.0


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now, below those that the kernel gives to outgoing connections.

    Temporal keeps its ports in two bytes with a sign, so none is above 32,767.
    """
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), k=500):
        with socket.socket() as one, suppress(OSError):
            one.bind((HOST, port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("too few ports are free")


@contextmanager
def running(log: Path, *command: str, port: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Runs the command, and waits until it listens on the port. Raises RuntimeError if it does not.

    Errors carry the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
        try:
            _await_port(process, port, log)
            yield
        except BaseException as error:
            error.add_note(f"the end of {log.name}:\n{log.read_text()[-1500:]}")
            raise
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{log.stem} does not listen on port {port}")
