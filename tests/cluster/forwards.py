"""Ports of the cluster on this machine, for as long as a test runs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from makegood_testkit.waiting import until

from .kube import Cluster, connects


@dataclass
class Forward:
    """A service's port at 127.0.0.1:`local`. `kubectl port-forward` ends with its pod; then it is started again."""

    cluster: Cluster
    service: str
    remote: int
    local: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _closing: threading.Event = field(default_factory=threading.Event, init=False)

    def run(self) -> None:
        """Forwards until it is closed."""
        words = ["port-forward", "--address", "127.0.0.1", f"service/{self.service}", f"{self.local}:{self.remote}"]
        while not self._closing.is_set():
            self._process = self.cluster.start("kubectl", *words)
            if self._closing.is_set():
                self._process.terminate()
            self._process.wait()
            self._closing.wait(0.2)

    def close(self) -> None:
        self._closing.set()
        if self._process is not None:
            self._process.terminate()


@contextmanager
def forwarded(*forwards: Forward, seconds: float = 60) -> Iterator[None]:
    """Keeps these ports open. Returns when each of them connects."""
    threads = [threading.Thread(target=forward.run, daemon=True) for forward in forwards]
    for thread in threads:
        thread.start()
    try:
        for forward in forwards:
            until(partial(connects, forward.local), seconds=seconds, what=f"a port of {forward.service}")
        yield
    finally:
        for forward in forwards:
            forward.close()
        for thread in threads:
            thread.join(10)
