"""Bookings through the gateway of a running platform, with vegeta as the load.

`makegood load bookings` does the same for everybody who has no Go; it takes a third of a core away from what it measures,
vegeta about a tenth. A booking counts if its answer is 201 and says `reserved`: slot and credit are held.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from makegood_cli.load.bookings import booking
from makegood_cli.load.figures import ProcessorTime
from makegood_devtools.client import Gateway
from makegood_devtools.seeding import Population, populate
from makegood_stack.devclock import DevelopmentClock
from makegood_stack.processes import Supervisor
from makegood_testkit.platform import Platform
from measuring import WARM_UP
from vegeta import AFTERWARDS, Answer, Request, attack

_MEMBERS = 1_024
"""Twice as many as clients, so that nobody waits for another booking of the same member."""
_PROVIDERS = 64
_CREDITS = 100_000
_MOST_PER_SECOND = 2_500
_MOST_PER_SECOND_ALONE = 400
"""The same for a single client."""


class BookingLoad:
    """Members who book through a platform's gateway. No slot is asked for twice, whatever the number of runs."""

    def __init__(self, platform: Platform, vegeta: Path, folder: Path) -> None:
        self._stack, self._vegeta, self._folder = platform.stack, vegeta, folder
        self._population = asyncio.run(self._populate())
        self._requests = self._bookings()

    async def _populate(self) -> Population:
        stack = self._stack
        async with Gateway(stack.base_url, stack.home.identity) as gateway, DevelopmentClock.of(stack) as clock:
            now = datetime.fromisoformat(str((await clock.now())["booking"]["now"]))
            return await populate(gateway, now, members=_MEMBERS, providers=_PROVIDERS, credits=_CREDITS)

    def _bookings(self) -> Iterator[Request]:
        members, first_day = self._population.members, self._population.first_day
        for turn in range(min(member.turns for member in members)):
            for member in members:
                headers = {
                    "Authorization": f"Bearer {member.login.token}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": str(uuid.uuid4()),
                    "Prefer": "wait=20",
                }
                yield Request(f"{self._stack.base_url}/v1/sessions", booking(member, turn, first_day), headers)

    def measure(self, clients: int, seconds: float) -> dict[str, Any]:
        """Bookings per second, latencies, and processor time per booking by process.

        Raises RuntimeError if too few slots are left.
        """
        rate = _MOST_PER_SECOND if clients > 1 else _MOST_PER_SECOND_ALONE
        requests = islice(self._requests, int(rate * (WARM_UP + seconds + AFTERWARDS)))
        cores: dict[str, float] = {}

        @contextmanager
        def counted(load: int) -> Iterator[None]:
            pids = {name: running.pid for name, running in Supervisor(self._stack.home).running().items()}
            processes = ProcessorTime({**pids, "load": load})
            processes.start()
            yield
            cores.update(processes.stop())

        figures, answers = attack(
            self._vegeta,
            self._folder,
            requests,
            clients=clients,
            seconds=seconds,
            is_booked=is_booked,
            during=counted,
        )
        per_booking = {name: round(share * 1000 / figures["per_second"], 3) for name, share in cores.items()}
        others = Counter(str(answer.status) for answer in answers if not is_booked(answer))
        return {"clients": clients, **figures, "others": dict(others), "cores": cores, "processor_ms": per_booking}


def is_booked(answer: Answer) -> bool:
    """Whether the session is reserved."""
    return answer.status == 201 and json.loads(answer.body)["status"] == "reserved"
