"""Whatever comes in whatever order: nobody is offered what they could not book, and nothing is free that somebody able waits
for (AVAIL-6)."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from makegood_availability.domain.waitlist import ASK_AGAIN
from makegood_cli.audit.queries import OFFERS
from makegood_contracts.events import Event, SessionRejected, SessionReserved, SlotHeld, WaitlistOffered
from makegood_contracts.ids import new_id

from .harness import NOW, AvailabilityHarness, at, later, request
from .waiting import Client, cancelled, opened

MEMBERS = [f"m{number}" for number in range(5)]
SLOTS = [at(9, day=20), at(10, day=20)]
OUTCOMES: list[type[Event]] = [SessionReserved, SessionRejected]
WANTED = {
    "from": at(9, day=20).isoformat(),
    "to": at(11, day=20).isoformat(),
    "length_minutes": 60,
    "modality": "video",
}


class Line:
    """A line of one provider, acted upon at random."""

    def __init__(self, harness: AvailabilityHarness, client: Client, seed: int) -> None:
        self.harness, self.client, self.chance = harness, client, random.Random(seed)
        self.rooms = {member: new_id() for member in MEMBERS}
        self.taken: list[Any] = []

    async def begin(self) -> None:
        await self.harness.receive(*(opened(room, member) for member, room in self.rooms.items()))
        await self.harness.publish(weekly=[{"day": "wednesday", "from": "09:00", "to": "11:00"}], slot_step_minutes=60)

    async def act(self) -> None:
        member = self.chance.choice(MEMBERS)
        path = f"/v1/rooms/{self.rooms[member]}/waitlist"
        person = self.client("member", member)
        what = self.chance.choice(
            ["join", "join", "leave", "book", "cancel", "cancel", "able", "accept", "time", "silence"]
        )
        if what == "join":
            assert (await person.post(path, json=WANTED)).status_code in (200, 201)
        elif what == "leave":
            for entry in (await person.get(path)).json()["items"]:
                await person.delete(f"{path}/{entry['id']}")
        elif what == "book":
            await self.book("zoe", self.chance.choice(SLOTS), SessionReserved)
        elif what == "cancel" and self.taken:
            session = self.taken.pop(self.chance.randrange(len(self.taken)))
            self.seen(await self.harness.receive(cancelled(session)))
        elif what == "able":
            able = self.harness.obstacles.pop(member, None) is not None
            self.harness.obstacles |= {} if able else {member: ["coverage-ended"]}
        elif what == "accept":
            for entry in (await person.get(path)).json()["items"]:
                if entry["offer"] is not None:
                    start = next(
                        slot for slot in SLOTS if entry["offer"]["starts_at"].startswith(f"{slot:%Y-%m-%dT%H}")
                    )
                    await self.book(member, start, self.chance.choice(OUTCOMES))
        elif what == "time":
            wait = self.chance.choice([timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=3)])
            self.seen(await self.harness.advance(self.harness.clock.moment + wait))
        elif what == "silence":
            self.harness.booking_judges = not self.harness.booking_judges
        self.seen(await self.harness.outbox())

    async def book(self, member: str, start: Any, outcome: type[Event]) -> None:
        """Somebody books and is reserved, or refused by credits."""
        wanted = request(start, 60, member=member, hold_until=self.harness.clock.moment + timedelta(days=9))
        (answer,) = await self.harness.ask(wanted)
        if not isinstance(answer, SlotHeld):
            return
        if outcome is SessionReserved:
            self.taken.append(wanted)
            self.seen(await self.harness.receive(later(SessionReserved, wanted, confirm_by=start)))
        else:
            self.seen(await self.harness.receive(later(SessionRejected, wanted, reasons=[])))

    def seen(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, WaitlistOffered):
                assert event.member_id not in self.harness.obstacles, "offered to somebody who could not book it"

    async def agrees(self) -> None:
        async with self.harness.database.reading() as queries:
            assert await queries.fetch(OFFERS) == [], "what is offered or proposed is held, and nothing else"

    async def comes_to_rest(self) -> None:
        """Booking judges again, and everybody is asked about once more."""
        self.harness.booking_judges = True
        for _ in range(3):
            self.seen(await self.harness.advance(self.harness.clock.moment + ASK_AGAIN))
        assert await self.harness.value("SELECT count(*) FROM waitlist WHERE proposal_id IS NOT NULL") == 0
        held = await self.harness.value("SELECT count(*) FROM slot_holds WHERE live")
        able = [
            row["member_id"]
            for row in await self.waiting()
            if row["member_id"] not in self.harness.obstacles and row["member_id"] not in self.busy()
        ]
        assert held == len(SLOTS) or not able, f"{able} wait, could book, and a slot is free"

    async def waiting(self) -> list[Any]:
        async with self.harness.database.reading() as queries:
            statement = "SELECT member_id FROM waitlist WHERE status = 'waiting' AND session_id IS NULL"
            return list(await queries.fetch(statement))

    def busy(self) -> set[str]:
        """Members who have both slots between their sessions' times anyway."""
        return {session.member_id for session in self.taken}


@pytest.mark.rule("AVAIL-6", "AVAIL-3")
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_offers_go_to_those_who_could_book_and_no_slot_is_left(
    harness: AvailabilityHarness, client: Client, seed: int
) -> None:
    assert SLOTS[0] > NOW
    line = Line(harness, client, seed)
    await line.begin()
    for _ in range(40):
        await line.act()
        await line.agrees()
    await line.comes_to_rest()
    await line.agrees()
