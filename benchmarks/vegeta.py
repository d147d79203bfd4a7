"""Load from vegeta, a load generator in Go that takes a fraction of the processor time of one in Python.

    https://github.com/tsenart/vegeta

Every request has its own body, key and token. With `-rate=0` and `-max-workers=N` vegeta is a closed loop of N clients. It
keeps every answer, so that what was booked is read from the answers after the run.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from measuring import WARM_UP, Numbers, PeerOptions, Window

_PATIENCE = "30s"
AFTERWARDS = 1.0
"""Seconds that the load outlasts the window, which opens late on a busy machine: looking at all processes takes a while."""
_MOST_PER_SECOND = 2_000
"""Bookings that no peer exceeds on two cores."""


@dataclass(frozen=True)
class Request:
    """One POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is 0 if the connection broke; times are seconds since 1970."""

    began: float
    ended: float
    status: int
    body: bytes


def attack(
    vegeta: Path,
    folder: Path,
    requests: Iterable[Request],
    *,
    clients: int,
    seconds: float,
    is_booked: Callable[[Answer], bool],
    during: Callable[[int], AbstractContextManager[object]] = lambda pid: nullcontext(),
) -> tuple[Numbers, list[Answer]]:
    """Sends requests until the window closes, and returns the figures of what was booked, and all answers in the window.

    `during` is entered while the window is open, with vegeta's process id. Raises RuntimeError if the requests run out.
    """
    targets, results, window = folder / "targets.json", folder / "results.bin", Window()
    with targets.open("wb") as file:
        file.writelines(_target(request) for request in requests)
    command = [
        *(str(vegeta), "attack", "-format=json", "-lazy", f"-targets={targets}", f"-output={results}"),
        *("-rate=0", f"-workers={clients}", f"-max-workers={clients}", f"-connections={clients}"),
        *(f"-duration={WARM_UP + seconds + AFTERWARDS}s", f"-timeout={_PATIENCE}"),
        *("-http2=false", "-redirects=-1", "-prometheus-addr="),
    ]
    # A rarer garbage collection, because memory is not short here.
    with subprocess.Popen(command, env={**os.environ, "GOGC": "400"}) as process:
        time.sleep(WARM_UP)
        with during(process.pid):
            window.open()
            time.sleep(seconds)
            window.close()
    if process.returncode:
        raise RuntimeError(f"vegeta ended with {process.returncode}")
    answers = list(_answers(vegeta, results))
    if max(answer.ended for answer in answers) < window.closed:
        raise RuntimeError("the requests have run out; make more of them")
    seen = [answer for answer in answers if window.opened <= answer.ended < window.closed]
    booked = [answer for answer in seen if is_booked(answer)]
    if not booked:
        raise RuntimeError(f"nothing was booked; the last answer: {answers[-1]}")
    return window.figures((answer.began, answer.ended) for answer in booked), seen


def peer_attacks(
    options: PeerOptions,
    folder: Path,
    url: str,
    bodies: Callable[[int, int], Iterable[object]],
    is_booked: Callable[[Answer], bool],
) -> dict[int, Numbers]:
    """Measures a peer at each number of clients. `bodies(first, last)` are those of the bookings with these numbers."""
    results: dict[int, Numbers] = {}
    enough = int(_MOST_PER_SECOND * (WARM_UP + options.seconds + AFTERWARDS))
    for turn, clients in enumerate(options.clients):
        requests = (
            Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
            for body in bodies(turn * enough, (turn + 1) * enough)
        )
        vegeta = options.tools / "bin" / "vegeta"
        results[clients], _ = attack(
            vegeta, folder, requests, clients=clients, seconds=options.seconds, is_booked=is_booked
        )
    return results


def _target(request: Request) -> bytes:
    """A line of vegeta's JSON format."""
    target = {
        "method": "POST",
        "url": request.url,
        "body": base64.b64encode(request.body).decode(),
        "header": {name: [value] for name, value in request.headers.items()},
    }
    return json.dumps(target).encode() + b"\n"


def _answers(vegeta: Path, results: Path) -> Iterator[Answer]:
    encode = [str(vegeta), "encode", "-to=csv", str(results)]
    with subprocess.Popen(encode, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for began, status, latency, _sent, _received, _error, body, *_ in csv.reader(process.stdout):
            start = int(began) / 1e9
            yield Answer(start, start + int(latency) / 1e9, int(status), base64.b64decode(body))
