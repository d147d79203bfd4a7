"""Clients that spend and get back the credits of a few members, and the history of what they saw. What is claimed stands in the
package's docstring."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from makegood_devtools.client import Person
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population, populate

from makegood_testkit.histories.record import History, ask, book, decided, moment
from makegood_testkit.platform import Platform

_MODEL: Final = "credits"
_NOTICE_TURNS: Final = timedelta(days=12) // timedelta(minutes=LENGTH_MINUTES)
"""How many slots lie before the first one that can be cancelled for nothing."""
_AT_ONCE: Final = 2
"""Clients of each member who book at the same time."""


@dataclass
class CreditClients:
    """For each member: two apps that book and cancel, one that looks at the balance, and support, which gives and takes."""

    platform: Platform
    population: Population
    history: History
    seed: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: Any = field(default_factory=lambda: itertools.count(_NOTICE_TURNS))
    _numbers: Any = field(default_factory=itertools.count)

    @classmethod
    async def prepare(cls, platform: Platform, history: History, *, members: int = 3, seed: int = 0) -> CreditClients:
        now = await platform.now()
        people = await populate(platform.gateway, now, members=members, providers=members, credits=400)
        clients = cls(platform, people, history, seed)
        for member in people.members:
            await platform.settle()
            begun = moment()
            balance = await platform.person("member", member.subject).get(f"/v1/members/{member.subject}/credits")
            history.add(_MODEL, member.subject, "start", begun, moment(), amount=balance["available"])
        return clients

    def stop(self) -> None:
        self._stop.set()

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        """They run until `stop()`."""
        found: list[Coroutine[Any, Any, None]] = []
        for member in self.population.members:
            found += [self._app(member, number) for number in range(_AT_ONCE)]
            found += [self._reader(member), self._support(member)]
        return found

    async def read_at_the_end(self) -> None:
        """The balances once the platform has drained."""
        for member in self.population.members:
            if not await self._read(member, patience=30):
                raise AssertionError(f"the balance of {member.subject} cannot be read")

    async def _reader(self, member: LoadMember) -> None:
        while not self._stop.is_set():
            await self._read(member)
            await asyncio.sleep(0.15)

    async def _read(self, member: LoadMember, *, patience: float = 0.0) -> bool:
        person = Person(self.platform.gateway.http, member.login)
        seen = await ask(self.history, person, "GET", f"/v1/members/{member.subject}/credits", patience=patience)
        if seen.status != 200:
            return False
        balance = {"available": seen.body["available"], "held": seen.body["held"]}
        self.history.add(_MODEL, member.subject, "read", seen.called, seen.returned, client=9, **balance)
        return True

    async def _support(self, member: LoadMember) -> None:
        chance = random.Random(f"{self.seed} support {member.subject}")
        while not self._stop.is_set():
            await asyncio.sleep(0.5 + chance.random())
            # Each by somebody else: what one person may give within a day is limited.
            person = self.platform.person("support", f"histories-{uuid.uuid4().hex[:12]}")
            amount = chance.choice((-1, 1))
            path, body = f"/v1/members/{member.subject}/adjustments", {"amount": amount, "reason": "histories"}
            asked = await ask(self.history, person, "POST", path, body, patience=chance.choice((0.0, 10.0)))
            if asked.status == 201:
                self.history.add(_MODEL, member.subject, "add", asked.called, asked.returned, client=8, amount=amount)
            elif asked.status == 0:
                self.history.maybe(_MODEL, member.subject, "add", asked.called, client=8, amount=amount)
            else:
                self.history.unexpected.append(f"an adjustment by {amount}: {asked.status} {asked.body}")

    async def _app(self, member: LoadMember, number: int) -> None:
        chance = random.Random(f"{self.seed} credits {member.subject} {number}")
        person = Person(self.platform.gateway.http, member.login)
        while not self._stop.is_set():
            patience = chance.choice((0.0, 10.0))
            session = await self._book(member, person, number, patience)
            if session is not None and chance.random() < 0.9:
                await self._cancel(member, person, number, session)
            await asyncio.sleep(0.1 * chance.random())

    async def _book(self, member: LoadMember, person: Person, number: int, patience: float) -> str | None:
        start = member.slot(next(self._turns), self.population.first_day)
        asked, seen = await book(self.history, person, member.room_id, start, patience=patience)
        if seen is not None:
            session = str(seen["id"])
            self.history.add(_MODEL, member.subject, "hold", asked.called, moment(), client=number, session=session)
            return session
        session = f"unknown-{next(self._numbers)}"
        for kind in ("hold", "return"):
            self.history.maybe(_MODEL, member.subject, kind, asked.called, client=number, session=session)
        return None

    async def _cancel(self, member: LoadMember, person: Person, number: int, session: str) -> None:
        about: dict[str, Any] = {"client": number, "session": session}
        asked = await ask(self.history, person, "POST", f"/v1/sessions/{session}/cancel", {}, patience=10)
        if asked.status != 200 or asked.body["status"] != "cancelled":
            self.history.maybe(_MODEL, member.subject, "return", asked.called, **about)
            return
        seen = await decided(
            self.history, person, session, lambda one: bool(one["credit"]["state"] == "returned"), patience=10
        )
        # Not shown in that time: it is there by the time when everything has drained.
        self.history.add(_MODEL, member.subject, "return", asked.called, moment() if seen else None, **about)
