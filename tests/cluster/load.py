"""Runs in a pod: people book, read and cancel through the gateway until the file STOP exists. Each request is sent once.

`python load.py GATEWAY IDENTITY CLIENTS STOP` prints a line of JSON each second, and a last one with everything.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from makegood_devtools.client import Gateway, Person
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population, populate

_PAUSE = 0.05
"""Seconds between two requests of a client. The limit of the gateway is 50 requests a second for each person."""


class Load:
    """The clients, and what they were answered."""

    def __init__(self, gateway: Gateway, population: Population, stop: Path) -> None:
        self.gateway = gateway
        self.population = population
        self.stop = stop
        self.answers: Counter[str] = Counter()
        self.failed: list[str] = []
        self.slowest = 0.0

    async def run(self) -> None:
        """Runs until it is stopped, at the next request of each client."""
        await asyncio.gather(self._tell(), *(self._client(member) for member in self.population.members))

    @property
    def result(self) -> dict[str, Any]:
        return {
            "requests": self.answers.total(),
            "failed": len(self.failed),
            "slowest_seconds": round(self.slowest, 2),
            "answers": dict(self.answers),
            "failures": self.failed[:20],
        }

    async def _tell(self) -> None:
        while not self.stop.exists():
            sys.stdout.write(json.dumps({"requests": self.answers.total(), "failed": len(self.failed)}) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(1)

    async def _client(self, load_member: LoadMember) -> None:
        member = Person(self.gateway.http, load_member.login)
        turn = 0
        while not self.stop.exists():
            body = {
                "room_id": load_member.room_id,
                "starts_at": load_member.slot(turn, self.population.first_day).isoformat(),
                "length_minutes": LENGTH_MINUTES,
                "modality": "video",
                "time_zone": "UTC",
            }
            turn += 1
            booked = await self._send(member, "book", "POST", "/v1/sessions", body, {201, 202}, wait=20)
            if booked is None:
                continue
            session = f"/v1/sessions/{booked['id']}"
            await self._send(member, "read", "GET", session, None, {200})
            await self._send(member, "credits", "GET", f"/v1/members/{member.subject}/credits", None, {200})
            await self._send(member, "cancel", "POST", f"{session}/cancel", {"accept_forfeit": True}, {200, 202})
            await self._send(member, "messages", "GET", f"/v1/rooms/{load_member.room_id}/messages", None, {200})

    async def _send(
        self, who: Person, what: str, method: str, path: str, body: Any, good: set[int], wait: float | None = None
    ) -> Any:
        """The body of a good answer, else None. Anything else is a failure."""
        key = str(uuid.uuid4()) if method == "POST" else None
        began = time.monotonic()
        try:
            answer = await who.send(method, path, body, key=key, wait=wait)
            outcome, text = str(answer.status_code), answer.text
        except httpx.HTTPError as error:
            answer, outcome, text = None, type(error).__name__, str(error)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[f"{what} {outcome}"] += 1
        await asyncio.sleep(_PAUSE)
        if answer is not None and answer.status_code in good:
            return answer.json()
        self.failed.append(f"{datetime.now(UTC):%H:%M:%S} {what}: {outcome} {text[:200]}")
        return None


async def main(base_url: str, identity: Path, clients: int, stop: Path) -> None:
    async with Gateway(base_url, identity) as gateway:
        ops = gateway.person("ops", "load-ops")
        clock = await ops.get("/v1/booking/dev/clock")
        now = datetime.fromisoformat(clock["now"])
        population = await populate(gateway, now, members=clients, providers=2, credits=5_000)
        load = Load(gateway, population, stop)
        await load.run()
        sys.stdout.write(json.dumps(load.result) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
