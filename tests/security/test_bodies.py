"""SEC-6: a small body stops no service. Through the gateway, against the running platform."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from pathlib import Path

import pytest
from makegood_stack.ports import LISTEN, SERVICES
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.weather import Weather

pytestmark = pytest.mark.rule("SEC-6")

WEBHOOK = "/v1/webhooks/payments"
LEVELS = 900


def bomb(zeros: int) -> bytes:
    """An array that nests 900 deep, at each level an escaped pair of surrogates beside it, and within it a run of zeros."""
    return b'["\\ud83d\\ude00",' * LEVELS + b"0," * zeros + b"0" + b"]" * LEVELS


def wide(size: int) -> bytes:
    return b"[" + b"0," * (size // 2) + b"0]"


def unknown(count: int) -> bytes:
    return json.dumps({f"f{number}": 0 for number in range(count)}, separators=(",", ":")).encode()


BOMBS = {
    "deep, 122 kB": bomb(53_000),
    "deep, 1 MB": bomb(500_000),
    "surrogates in an array of a million": b'["\\ud83d\\ude00",' + wide(1_000_000)[1:],
    "90,000 unknown fields": unknown(90_000),
}


WORK = 1.0
"""Seconds of processor time that the three bodies and somebody else's requests beside them may take together."""
LONGEST = 2.0
"""Seconds within which everybody is answered, on a machine that is not busy with other things."""


def worked(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """The most that a process ever had in memory, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Pulse:
    """Somebody else's requests, one after another, while an attack goes on; what is told is the longest answer, theirs included."""

    def __init__(self, cast: Cast, path: str) -> None:
        self._cast = cast
        self._path = path
        self._asking: asyncio.Task[None] | None = None
        self._weather = Weather()
        self.seconds: list[float] = []

    async def __aenter__(self) -> Pulse:
        self._weather.__enter__()
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._asking is not None
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)
        self._weather.__exit__(None, None, None)

    @property
    def longest(self) -> float:
        """The longest answer, in seconds of a machine that is not busy with other things."""
        return max(self.seconds) / self._weather.stretch()

    async def _ask(self) -> None:
        while True:
            begun = time.perf_counter()
            answer = await self._cast.member.send("GET", self._path)
            assert answer.status_code == 200
            self.seconds.append(time.perf_counter() - begun)
            await asyncio.sleep(0.03)


def _headers(**more: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4()), **more}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_body_from_nobody_is_refused_and_others_are_served(platform: Platform, cast: Cast, name: str) -> None:
    pid = platform.pid("credits")
    before, done = memory(pid), worked(pid)
    async with Pulse(cast, f"/v1/members/{cast.member.subject}/credits") as pulse:
        for _ in range(3):
            begun = time.perf_counter()
            answer = await platform.gateway.http.post(WEBHOOK, content=BOMBS[name], headers=_headers())
            assert answer.status_code in (400, 413)
            pulse.seconds.append(time.perf_counter() - begun)
        await asyncio.sleep(0.2)
    assert pulse.longest < LONGEST
    assert worked(pid) - done < WORK
    assert memory(pid) - before < 100 << 20


@pytest.mark.parametrize("name", BOMBS)
async def test_a_body_from_somebody_is_refused_and_others_are_served(platform: Platform, cast: Cast, name: str) -> None:
    pid = platform.pid("booking")
    before, done = memory(pid), worked(pid)
    attacker = platform.person("member", f"attacker-{uuid.uuid4()}")
    async with Pulse(cast, "/v1/sessions") as pulse:
        for _ in range(3):
            answer = await platform.gateway.http.post(
                "/v1/sessions", content=BOMBS[name], headers=_headers(Authorization=f"Bearer {attacker.token}")
            )
            assert answer.status_code in (400, 422)
            assert answer.headers["content-type"] == "application/problem+json"
        await asyncio.sleep(0.2)
    assert pulse.longest < LONGEST
    assert worked(pid) - done < WORK
    assert memory(pid) - before < 100 << 20


CHANGES = {
    "booking": ("POST", "/v1/sessions"),
    "availability": ("PUT", "/v1/providers/anybody/schedule"),
    "credits": ("POST", "/v1/purchases"),
    "notifications": ("PUT", "/v1/people/anybody/contact"),
}


@pytest.mark.parametrize("service", SERVICES)
async def test_each_service_asks_who_is_there_before_it_reads(platform: Platform, service: str) -> None:
    """At its own door: the body is announced and never comes."""
    method, path = CHANGES[service]
    port = platform.stack.ports.of(service)
    for token, status in ((None, 401), ("x.y.z", 401), (platform.person("ops", "ops-1").token, 403)):
        reader, writer = await asyncio.open_connection(LISTEN, port)
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: service",
            "Content-Type: application/json",
            "Content-Length: 900000",
        ]
        lines += [] if token is None else [f"Authorization: Bearer {token}", "X-Access-Reason: support_request"]
        writer.write("\r\n".join((*lines, "", "[")).encode())
        async with asyncio.timeout(10):
            answered = await reader.readline()
        assert int(answered.split()[1]) == status, (token, answered)
        writer.close()


async def test_a_web_hook_has_64_kib_and_its_signature_is_looked_at_first(platform: Platform) -> None:
    http = platform.gateway.http
    answer = await http.post(WEBHOOK, content=b" " * (64 * 1024 + 1), headers=_headers())
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/payload-too-large")
    for body in (b" " * 64 * 1024, b"{", b"[" * 60_000, b"\xff", b'{"a":"\\ud800"}'):
        answer = await http.post(WEBHOOK, content=body, headers=_headers())
        assert answer.status_code == 400
        assert "signature" in answer.json()["detail"]
