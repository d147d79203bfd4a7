"""How long the hot paths take, in microseconds an event, on a real PostgreSQL in batches of 500; whole transactions.

    pytest -s services/booking/tests/measure_handlers.py

Not part of the tests: a figure proves nothing on a busy machine. The client's own share (CPU of this process) stands beside.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median

from makegood_booking.domain.booking import BookingRequest
from makegood_booking.handlers.batching import BookingCommand
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE, received

from .examples import MINUTE, NOW, START
from .harness import Answers, BookingHarness, Json

BATCH = 500
ROUNDS = 5


async def test_measure(harness: BookingHarness) -> None:
    took: dict[str, list[tuple[float, float]]] = {}

    async def timed(name: str, work: Callable[[], Awaitable[object]]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        await work()
        took.setdefault(name, []).append((time.perf_counter() - wall, time.process_time() - cpu))

    rooms = [await harness.room(f"member-{n}") for n in range(50)]

    async def request(bookings: list[BookingCommand]) -> None:
        async with harness.service.database.transaction(CAUSE) as unit:
            await harness.dependencies.batcher.apply(bookings, unit)

    async def handle(events: list[Event]) -> None:
        batch = [received(event) for event in events]
        async with harness.service.database.transaction(CAUSE) as unit:
            await harness.service.events[type(events[0])](batch, unit)

    async def due(ids: list[str]) -> None:
        async with harness.service.database.transaction(CAUSE) as unit:
            await harness.service.deadlines["session"]([Due(each, NOW) for each in ids], unit)

    for round_ in range(ROUNDS):
        harness.clock.moment = NOW
        starts = [START + timedelta(minutes=n) for n in range(BATCH)]
        bookings = [
            BookingCommand(
                new_id(),
                BookingRequest(rooms[n % 50], starts_at, 30, "video", "Europe/Berlin", None),
                lambda _room: "member",
                CAUSE,
                None,
            )
            for n, starts_at in enumerate(starts)
        ]
        for first in range(0, BATCH, 100):
            part = bookings[first : first + 100]
            await timed("request (batches of 100)", lambda part=part: request(part))  # type: ignore[misc]
        sessions: list[Json] = [
            {
                "id": booking.session_id,
                "member_id": f"member-{n % 50}",
                "provider_id": "dr-lee",
                "starts_at": booking.request.starts_at.isoformat(),
                "ends_at": (booking.request.starts_at + 30 * MINUTE).isoformat(),
            }
            for n, booking in enumerate(bookings)
        ]
        slots: list[Event] = [Answers.slot_held(session) for session in sessions]
        credits: list[Event] = [Answers.credit_held(session) for session in sessions]
        returns: list[Event] = [Answers.credit_returned(session, "provider_missed") for session in sessions]
        await timed("SlotHeld", lambda: handle(slots))  # noqa: B023
        await timed("CreditHeld → SessionReserved", lambda: handle(credits))  # noqa: B023
        async with harness.service.database.connections.loan() as connection:
            await connection.execute("UPDATE sessions SET status = 'confirmed' WHERE status = 'reserved'")
        harness.clock.moment = START + timedelta(days=1)
        await timed("due → ProviderMissed", lambda: due([session["id"] for session in sessions]))  # noqa: B023
        await timed("CreditReturned", lambda: handle(returns))  # noqa: B023
        assert round_ or len(await harness.outbox()) == BATCH * 3 + len(rooms)
    print()  # noqa: T201
    for name, runs in took.items():
        size = 100 if "100" in name else BATCH
        wall, cpu = (median(run[n] for run in runs) / size * 1e6 for n in (0, 1))
        print(f"{name:32} {wall:6.1f} µs an event, {cpu:6.1f} of them this process's CPU")  # noqa: T201
