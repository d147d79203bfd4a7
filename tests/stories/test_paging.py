"""Every list, read in small pages while what it lists changes: whatever was there all the time comes exactly once."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Person
from makegood_testkit.platform import Cast, Platform

DAY = timedelta(days=1)
_GAPS = 4


class Scene:
    """One cast with something in every list, and changes that can happen between two pages."""

    def __init__(self, cast: Cast, ops: Person, chance: random.Random) -> None:
        self.cast, self.ops, self.chance = cast, ops, chance
        self.sessions: list[dict[str, Any]] = []
        self.venues: list[dict[str, Any]] = []
        self.spare_time_off: list[str] = []
        self.moves = 0

    def lists(self) -> list[tuple[Person, str]]:
        cast, member = self.cast, self.cast.member
        room, own = f"/v1/rooms/{cast.room_id}", f"/v1/members/{member.subject}"
        return [
            (member, "/v1/sessions"),
            (cast.provider, "/v1/sessions"),
            (member, f"/v1/sessions/{self.sessions[0]['id']}/history"),
            (cast.provider, "/v1/rooms"),
            (member, f"{room}/messages"),
            (member, f"{room}/waitlist"),
            (member, f"{own}/ledger"),
            (member, f"{own}/invoices"),
            (member, "/v1/purchases"),
            (member, "/v1/plans"),
            (member, "/v1/venues"),
            (cast.support, f"/v1/deliveries?person_id={member.subject}"),
            (cast.provider, f"/v1/providers/{cast.provider.subject}/time-off"),
        ]

    async def fill(self) -> None:
        """Five of everything, where the platform does not bring them itself."""
        cast = self.cast
        for day in range(5):
            await self.cast.member.post("/v1/purchases", {"quantity": 1})
            await self.take_time_off()
            await self.add_venue()
            await self.wait_for_a_time()
            await self.say_something()
            if day < 4:  # as many as the plan pays
                self.sessions.append(await cast.confirmed(timedelta(days=9 + day)))
        for _ in range(3):
            await self.other_room()

    async def between_pages(self) -> None:
        """Something that changes what some list is sorted or filtered by."""
        changes: list[Callable[[], Awaitable[object]]] = [
            self.move, self.move, self.take_time_off, self.end_time_off, self.add_venue, self.rename_a_venue,
            self.say_something, self.other_room, self.buy,
        ]  # fmt: skip
        for _ in range(self.chance.randint(1, 2)):
            await self.chance.choice(changes)()

    async def move(self) -> None:
        session = self.chance.choice(self.sessions)
        self.moves += (
            1  # to a time of its own, before all others or behind them, in the period that the credits are for
        )
        days = self.chance.choice([3, 15])
        start = await self.cast.start_in(days * DAY + timedelta(minutes=45 * self.moves))
        await self.cast.move(session, start, self.cast.provider)

    async def take_time_off(self) -> None:
        start = await self.cast.start_in(timedelta(days=self.chance.randint(100, 300)))
        body = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=1)).isoformat()}
        made = await self.cast.provider.post(f"/v1/providers/{self.cast.provider.subject}/time-off", body)
        self.spare_time_off.append(str(made["id"]))

    async def end_time_off(self) -> None:
        if not self.spare_time_off:
            return
        gone = self.spare_time_off.pop(self.chance.randrange(len(self.spare_time_off)))
        await self.cast.provider.delete(f"/v1/providers/{self.cast.provider.subject}/time-off/{gone}")

    async def add_venue(self) -> None:
        name = f"Room {self.chance.randrange(10**6)}"
        self.venues.append(dict((await self.ops.post("/v1/venues", {"name": name, "time_zone": "UTC"})).body))

    async def rename_a_venue(self) -> None:
        venue = self.chance.choice(self.venues)
        name = f"{self.chance.choice('AZ')} {self.chance.randrange(10**6)}"
        await self.ops.put(f"/v1/venues/{venue['id']}", {"name": name, "time_zone": "UTC"})

    async def wait_for_a_time(self) -> None:
        start: datetime = await self.cast.start_in(timedelta(days=self.chance.randint(310, 350)))
        body = {
            "from": start.isoformat(),
            "to": (start + timedelta(hours=2)).isoformat(),
            "length_minutes": self.cast.length,
            "modality": self.cast.modality,
        }
        await self.cast.member.post(f"/v1/rooms/{self.cast.room_id}/waitlist", body)

    async def say_something(self) -> None:
        text = f"Number {self.chance.randrange(10**6)}."
        await self.cast.member.post(f"/v1/rooms/{self.cast.room_id}/messages", {"text": text})

    async def other_room(self) -> None:
        body = {"member_id": f"other-{self.chance.randrange(10**9)}", "provider_id": self.cast.provider.subject}
        await self.cast.support.post("/v1/rooms", body)

    async def buy(self) -> None:
        await self.cast.member.post("/v1/purchases", {"quantity": 1})


def key_of(item: dict[str, Any]) -> str:
    return str(item.get("id") or (item["at"], item["type"], item["detail"]))


@pytest.mark.parametrize("seed", range(2))
async def test_no_list_loses_or_repeats_what_was_there_all_the_time(platform: Platform, seed: int) -> None:
    chance = random.Random(seed)
    cast = await platform.cast()
    scene = Scene(cast, platform.person("ops", f"ops-{cast.room_id}"), chance)
    await scene.fill()
    await platform.settle()
    lists = scene.lists()
    chance.shuffle(lists)
    for who, path in lists:
        if path.endswith("/time-off"):
            scene.spare_time_off.clear()  # from here on those in the list stay
            for _ in range(3):
                await scene.take_time_off()
        before = {key_of(item) for item in (await who.get(path, limit=200))["items"]}
        size = max(1, len(before) // 5)
        gaps = _GAPS  # a change to a list that grows with each change would never let it end
        seen: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await who.get(path, limit=size, **cursor)
            seen += [key_of(item) for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
            if gaps:
                gaps -= 1
                await scene.between_pages()
        stayed = before & await _ids(who, path)
        assert [each for each in seen if seen.count(each) > 1] == [], path
        assert stayed <= set(seen), path


async def _ids(who: Person, path: str) -> set[str]:
    found: set[str] = set()
    cursor: dict[str, Any] = {}
    while True:
        page = await who.get(path, limit=200, **cursor)
        found |= {key_of(item) for item in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
