"""Chaos: parts of the platform are killed under mixed load. Afterwards nothing may be lost, and nothing may have
happened twice.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from makegood_devtools.client import Person
from makegood_devtools.errors import UserError
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, Population, populate
from makegood_stack.inspect import Status, look

from makegood_testkit.platform import Platform

STEP = timedelta(hours=4)
"""How far the product's clock moves at each step, so that sessions start and are missed."""

NOTICE = timedelta(hours=30)


@dataclass
class Ledger:
    """What the platform has acknowledged to its clients."""

    booked: dict[str, LoadMember] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)


@dataclass
class MixedLoad:
    """Clients that book and then confirm, cancel, or do nothing. Each repeats a request with its key until it has an
    answer.
    """

    platform: Platform
    population: Population
    seed: int = 0
    rest: float = 0.0
    """Seconds that each client does nothing between two bookings."""
    ledger: Ledger = field(default_factory=Ledger)
    _moved: timedelta = timedelta()
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def prepare(cls, platform: Platform, *, members: int = 24, providers: int = 6, seed: int = 0) -> MixedLoad:
        population = await populate(
            platform.gateway, await platform.now(), members=members, providers=providers, credits=5_000, mailboxes=True
        )
        return cls(platform, population, seed)

    async def run(self, seconds: float) -> None:
        """Runs the load for so long, while the clock moves every three seconds."""
        start = await self.platform.now()
        clients = [asyncio.create_task(self._client(number, start)) for number in range(len(self.population.members))]
        clock = asyncio.create_task(self._clock())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)
        finally:
            self._stop.set()
            await asyncio.gather(*clients, clock)

    def stop(self) -> None:
        """Ends the load. `run` returns once every client has its answer."""
        self._stop.set()

    async def _clock(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), 3)
            except TimeoutError:
                try:
                    await self.platform.clock.move(
                        ("booking", "availability", "credits", "notifications"), await self.platform.now() + STEP
                    )
                    self._moved += STEP
                except UserError:
                    continue  # Something is down. The next step will tell whether it still is.

    async def _client(self, number: int, start: datetime) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        load_member = self.population.members[number]
        member = Person(self.platform.gateway.http, load_member.login)
        provider = self.platform.person("provider", load_member.provider_id)
        turn = 0
        while not self._stop.is_set():
            earliest = start + self._moved + NOTICE
            while load_member.slot(turn, self.population.first_day) < earliest:
                turn += 1
            session = await self._book(member, load_member, turn)
            turn += 1
            if self.rest:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self.rest * 2 * chance.random())
            if session is None:
                continue
            path = f"/v1/sessions/{session}"
            dice = chance.random()
            if dice < 0.75:
                answer = await self.insist(provider, "POST", f"{path}/confirm", {})
                if answer.is_success:
                    self.ledger.confirmed.add(session)
            if 0.6 < dice < 0.85:
                canceller = member if dice < 0.8 else provider
                answer = await self.insist(
                    canceller, "POST", f"{path}/cancel", {} if dice >= 0.8 else {"accept_forfeit": True}
                )
                if answer.is_success:
                    self.ledger.cancelled.add(session)

    async def _book(self, member: Person, load_member: LoadMember, turn: int) -> str | None:
        body = {
            "room_id": load_member.room_id,
            "starts_at": load_member.slot(turn, self.population.first_day).isoformat(),
            "length_minutes": LENGTH_MINUTES,
            "modality": "video",
            "time_zone": "UTC",
        }
        answer = await self.insist(member, "POST", "/v1/sessions", body, wait=5)
        if answer.status_code in (201, 202):
            session = str(answer.json()["id"])
            self.ledger.booked[session] = load_member
            return session
        return None

    async def insist(
        self, person: Person, method: str, path: str, body: Any, wait: float | None = None
    ) -> httpx.Response:
        """Sends with the same key until the answer is neither a failure of the platform nor a request to try again."""
        key = str(uuid.uuid4())
        while True:
            try:
                answer = await person.send(method, path, body, key=key, wait=wait)
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            self.ledger.answers[answer.status_code] += 1
            slug = str(answer.json().get("type", "")) if answer.is_error else ""
            if answer.status_code in (429, 502, 503, 504) or slug.endswith("idempotency-in-flight"):
                await asyncio.sleep(0.2)
                continue
            if answer.status_code >= 500:
                self.ledger.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return answer


async def kill_in_turn(platform: Platform, processes: Sequence[str], *, pause: float, seed: int = 0) -> Counter[str]:
    """Kills each of the processes with SIGKILL, in random order, and starts it again. Returns how often each was
    killed.
    """
    order = list(processes)
    random.Random(seed).shuffle(order)
    killed: Counter[str] = Counter()
    for name in order:
        await asyncio.sleep(pause)
        os.kill(platform.pid(name), signal.SIGKILL)
        killed[name] += 1
        await asyncio.to_thread(platform.up)
    return killed


async def kill_broker_while_rebalancing(
    platform: Platform, processes: Sequence[str], *, pause: float, seed: int = 0
) -> Counter[str]:
    """One process after the other leaves its consumer group, in turn by SIGTERM and by SIGKILL. The broker is killed while the
    partitions go to the others, and both are started again, which moves the partitions once more."""
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    for number, name in enumerate(processes):
        await asyncio.sleep(pause)
        os.kill(platform.pid(name), signal.SIGTERM if number % 2 == 0 else signal.SIGKILL)
        # A member that was killed is missed after its session time-out of six seconds.
        await asyncio.sleep(chance.uniform(0.0, 1.0) if number % 2 == 0 else chance.uniform(5.5, 7.5))
        os.kill(platform.pid("kafka"), signal.SIGKILL)
        done[name] += 1
        await asyncio.to_thread(platform.up)
    return done


async def drained(platform: Platform, *, seconds: float = 120) -> None:
    """Waits until every part is ready, every outbox empty, and every consumer has caught up, three times in a row.
    Raises AssertionError with what is left.
    """
    seen: list[str] = ["never looked"]
    quiet = 0
    try:
        async with asyncio.timeout(seconds):
            while quiet < 3:
                seen = _unfinished(await look(platform.stack))
                quiet = 0 if seen else quiet + 1
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise AssertionError(f"not drained after {seconds:g} s: {seen}") from None


def _unfinished(status: Status) -> list[str]:
    """What is not finished yet."""
    found = [f"{part.name} is {part.health}" for part in status.processes if part.health not in ("ready", "external")]
    found += [f"{outbox.service} has {outbox.depth} unsent rows" for outbox in status.outboxes if outbox.depth != 0]
    found += [f"{group} is {lag} behind" for group, lag in status.lag.items() if lag]
    return found if status.lag else [*found, "no consumer groups"]


async def verify(platform: Platform, load: MixedLoad) -> list[str]:
    """Everything that is wrong after the drain: lost bookings, double effects, missing messages, violations found by
    the audit.
    """
    ledger = load.ledger
    wrong = [*ledger.unexpected, *(await asyncio.to_thread(platform.audit))]
    members = {member.subject: member for member in ledger.booked.values()}
    for subject, load_member in members.items():
        person = Person(platform.gateway.http, load_member.login)
        sessions = {item["id"]: item for item in await every_item(person, "/v1/sessions")}
        entries = await every_item(person, f"/v1/members/{subject}/ledger")
        wrong += _lost(ledger, subject, sessions)
        wrong += settled(sessions.values(), entries)
        wrong += await _messages(platform, subject, sessions.values())
    return wrong


def _lost(ledger: Ledger, subject: str, sessions: dict[str, Any]) -> Iterable[str]:
    for session, member in ledger.booked.items():
        if member.subject != subject:
            continue
        if session not in sessions:
            yield f"session {session} was acknowledged and is gone"
            continue
        status = sessions[session]["status"]
        if status == "requested":
            yield f"session {session} was never decided"
        if session in ledger.cancelled and status != "cancelled":
            yield f"session {session} was cancelled and is {status}"
        if session in ledger.confirmed and status in ("requested", "reserved", "expired", "declined", "rejected"):
            yield f"session {session} was confirmed and is {status}"


def settled(sessions: Iterable[dict[str, Any]], entries: Sequence[dict[str, Any]]) -> Iterable[str]:
    movements = Counter((entry["session_id"], entry["kind"]) for entry in entries)
    for session in sessions:
        holds = movements[session["id"], "hold"]
        returns, forfeits = movements[session["id"], "return"], movements[session["id"], "forfeit"]
        ended = session["status"] in ("expired", "cancelled", "provider_missed", "declined", "rejected")
        if holds > 1 or returns + forfeits > holds:
            yield f"session {session['id']}: {holds} holds, {returns} returns, {forfeits} forfeits"
        if ended and returns + forfeits != holds:
            yield f"session {session['id']} is {session['status']} and its credit is not settled"
        if session["status"] == "provider_missed" and returns != 1:
            yield f"session {session['id']} was missed and its credit came back {returns} times"


async def _messages(platform: Platform, subject: str, sessions: Iterable[dict[str, Any]]) -> Iterable[str]:
    """One missed e-mail for each missed session; a repeated one keeps its Message-ID."""
    wanted = sum(1 for session in sessions if session["status"] == "provider_missed")
    async with httpx.AsyncClient(base_url=platform.stack.mail_url, trust_env=False, timeout=30) as http:
        mails = (await http.get("/api/v1/search", params={"query": f"to:{subject}@example.com", "limit": 5000})).json()
    missed = {
        mail["MessageID"]
        for mail in mails["messages"]
        if mail["Subject"] == "Your provider missed your scheduled session."
    }
    return [] if len(missed) == wanted else [f"{subject}: {wanted} sessions missed, {len(missed)} e-mails about it"]


async def every_item(person: Person, path: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = await person.get(path, **parameters)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


__all__ = ["MixedLoad", "drained", "kill_broker_while_rebalancing", "kill_in_turn", "verify"]
