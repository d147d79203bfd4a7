"""Clients that compete for slots, and the history of what they saw. What is claimed stands in the package's docstring."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_devtools.client import Person
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population, populate

from makegood_testkit.histories.record import Answered, History, ask, book, moment
from makegood_testkit.platform import Platform

_MODEL: Final = "slots"
_HOURS: Final = (6, 12, 18)
"""When the slots of a group begin, so far apart that none touches another."""
_NOTICE: Final = timedelta(days=12)
"""Enough for every cancellation to be free."""
_ROUND: Final = 8.0
"""Seconds after which clients turn to the next day's slots, so that no history gets long."""
_LONGEST_READ: Final = 200


@dataclass(frozen=True)
class Group:
    """The slots of one provider on one day: one partition."""

    provider_id: str
    day: datetime

    @property
    def name(self) -> str:
        return f"{self.provider_id}/{self.day:%Y-%m-%d}"

    @property
    def starts(self) -> list[datetime]:
        return [self.day + timedelta(hours=hour) for hour in _HOURS]


@dataclass
class SlotClients:
    """Four members for each provider, who want the same three slots, and the provider, who looks what is free."""

    platform: Platform
    population: Population
    history: History
    seed: int = 0
    _begun: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _groups: set[Group] = field(default_factory=set)
    _numbers: Any = field(default_factory=itertools.count)

    @classmethod
    async def prepare(cls, platform: Platform, history: History, *, providers: int = 3, seed: int = 0) -> SlotClients:
        now = await platform.now()
        people = await populate(platform.gateway, now, members=4 * providers, providers=providers, credits=400)
        return cls(platform, people, history, seed)

    def stop(self) -> None:
        self._stop.set()

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        """They run until `stop()`."""
        self._begun = moment()
        providers = sorted({member.provider_id for member in self.population.members})
        members = range(len(self.population.members))
        return [*(self._member(number) for number in members), *(self._provider(each) for each in providers)]

    async def read_at_the_end(self) -> None:
        """What is free once the platform has drained. Everything that is certain has happened by now."""
        for group in self._groups:
            if not await self._read(group, patience=30):
                raise AssertionError(f"the slots of {group.name} cannot be read")

    def _group(self, provider_id: str) -> Group:
        """The one that clients want now."""
        turn = int((moment() - self._begun) / 1e9 / _ROUND)
        group = Group(provider_id, self.population.first_day + _NOTICE + timedelta(days=turn))
        self._groups.add(group)
        return group

    async def _provider(self, provider_id: str) -> None:
        while not self._stop.is_set():
            await self._read(self._group(provider_id))
            await asyncio.sleep(0.15)

    async def _read(self, group: Group, *, patience: float = 0.0) -> bool:
        person = self.platform.person("provider", group.provider_id)
        path = f"/v1/providers/{group.provider_id}/slots"
        query = {
            "from": group.day.isoformat(),
            "to": (group.day + timedelta(days=1)).isoformat(),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "limit": _LONGEST_READ,
        }
        seen = await ask(self.history, person, "GET", path, params=query, patience=patience)
        if seen.status != 200:
            return False
        if seen.body["next_cursor"] is not None:
            raise AssertionError("a read must show the whole day in one answer")
        free = {datetime.fromisoformat(item["starts_at"]) for item in seen.body["items"]}
        starts = group.starts
        self.history.add(
            _MODEL,
            group.name,
            "read",
            seen.called,
            seen.returned,
            client=99,
            slots=[_name(start) for start in starts],
            free=[_name(start) for start in starts if start in free],
        )
        return True

    async def _member(self, number: int) -> None:
        chance = random.Random(f"{self.seed} slots {number}")
        member = self.population.members[number]
        person = Person(self.platform.gateway.http, member.login)
        while not self._stop.is_set():
            group = self._group(member.provider_id)
            patience = chance.choice((0.0, 10.0))
            booked = await self._book(number, member, person, group, chance.choice(group.starts), patience)
            if booked is None:
                await asyncio.sleep(0.1 * chance.random())
                continue
            session, version = booked
            if chance.random() < 0.5:
                await self._move(number, person, group, session, version, chance.choice(group.starts), patience)
            if chance.random() < 0.9:
                await self._cancel(number, person, group, session, patience)

    async def _book(
        self, number: int, member: LoadMember, person: Person, group: Group, start: datetime, patience: float
    ) -> tuple[str, int] | None:
        """The session and its version, if it was reserved."""
        asked, seen = await book(self.history, person, member.room_id, start, patience=patience)
        about: dict[str, Any] = {"client": number, "slot": _name(start)}
        if seen is not None:
            self.history.add(_MODEL, group.name, "book", asked.called, moment(), session=seen["id"], **about)
            return seen["id"], seen["version"]
        if asked.status == 409 and "slot-taken" in asked.reasons:
            self.history.add(_MODEL, group.name, "book", asked.called, asked.returned, outcome="taken", **about)
            return None
        self._may_have_held(group, asked, about)
        return None

    def _may_have_held(self, group: Group, asked: Answered, about: dict[str, Any]) -> None:
        """A booking without a clear outcome may hold its slot, for ever or for a while. One that was never accepted does not."""
        if 400 <= asked.status < 500 and asked.status != 409:
            return
        session = f"unknown-{next(self._numbers)}"
        self.history.maybe(_MODEL, group.name, "book", asked.called, session=session, **about)
        self.history.maybe(_MODEL, group.name, "release", asked.called, session=session, client=about["client"])

    async def _move(
        self, number: int, person: Person, group: Group, session: str, version: int, start: datetime, patience: float
    ) -> None:
        path, body = f"/v1/sessions/{session}/reschedule", {"starts_at": start.isoformat()}
        asked = await ask(self.history, person, "POST", path, body, version=version, wait=4, patience=patience)
        about: dict[str, Any] = {"client": number, "session": session, "slot": _name(start)}
        if asked.status == 200 and datetime.fromisoformat(asked.body["starts_at"]) == start:
            self.history.add(_MODEL, group.name, "move", asked.called, asked.returned, **about)
        elif asked.status == 409 and "slot-taken" in asked.reasons:
            self.history.add(_MODEL, group.name, "move", asked.called, asked.returned, outcome="taken", **about)
        elif asked.status < 400 or "temporary-interruption" in asked.reasons:
            self.history.maybe(_MODEL, group.name, "move", asked.called, **about)

    async def _cancel(self, number: int, person: Person, group: Group, session: str, patience: float) -> None:
        asked = await ask(self.history, person, "POST", f"/v1/sessions/{session}/cancel", {}, patience=patience)
        about: dict[str, Any] = {"client": number, "session": session}
        if asked.status == 200 and asked.body["status"] == "cancelled":
            self.history.add(_MODEL, group.name, "release", asked.called, None, **about)
        else:
            self.history.maybe(_MODEL, group.name, "release", asked.called, **about)


def _name(start: datetime) -> str:
    return f"{start:%H:%M}"
