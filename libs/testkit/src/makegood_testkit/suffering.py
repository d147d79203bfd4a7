"""What clients and operators see while a dependency suffers a fault (REL-9), and whether anything was lost."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
import httpx
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES

from makegood_testkit.chaos import drained, every_item, settled
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.weather import Weather

_EVERY: Final = 0.1
"""Seconds between two looks at a probe."""
_PAUSE: Final = 0.25
"""Seconds between two requests of one client."""
GOOD: Final = frozenset({200, 201})
"""A booking that is decided, and what else succeeds at once."""


@dataclass(frozen=True)
class Seen:
    """One answer. `status` 0: the connection broke. `clear`: a success, a rule's refusal, or a 503 or 504 as promised."""

    what: str
    begun: float
    seconds: float
    status: int
    clear: bool
    text: str = ""


def _is_clear(answer: httpx.Response) -> bool:
    if answer.status_code < 500:
        return True
    kind = answer.headers.get("content-type", "")
    return answer.status_code in (503, 504) and kind == "application/problem+json" and "retry-after" in answer.headers


@dataclass
class Probes:
    """What the probes of all services say, from `run()` on."""

    platform: Platform
    ready: dict[str, list[tuple[float, bool, str]]] = field(default_factory=dict)
    """By service: when readiness changed, to what, and why."""
    dead: list[str] = field(default_factory=list)
    """Probes that failed."""
    slowest: float = 0.0
    """Seconds of the slowest answer of /livez."""

    async def run(self) -> None:
        """Looks until cancelled."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            await asyncio.gather(*(self._follow(http, service) for service in SERVICES))

    async def _follow(self, http: httpx.AsyncClient, service: str) -> None:
        base = f"http://{LISTEN}:{self.platform.stack.ports.of(service) + PROBES_ABOVE}"
        changes = self.ready.setdefault(service, [])
        while True:
            try:
                begun = time.monotonic()
                alive = await http.get(f"{base}/livez")
                self.slowest = max(self.slowest, time.monotonic() - begun)
                if alive.status_code != 200:
                    self.dead.append(f"{service} {alive.status_code}")
                answer = await http.get(f"{base}/readyz")
                if not changes or changes[-1][1] != answer.is_success:
                    changes.append((time.monotonic(), answer.is_success, "" if answer.is_success else answer.text))
            except httpx.HTTPError as error:
                self.dead.append(f"{service} {type(error).__name__}")
            await asyncio.sleep(_EVERY)

    @property
    def all_ready(self) -> bool:
        return len(self.ready) == len(SERVICES) and all(seen and seen[-1][1] for seen in self.ready.values())

    def ready_at(self, service: str, moment: float) -> bool:
        """Whether the service said at this moment that it is ready."""
        return [ready for at, ready, _ in self.ready[service] if at <= moment][-1]

    def changed(self, service: str, ready: bool, since: float) -> float | None:
        """Seconds from `since` until the service's readiness became this; None if it never did."""
        return next(
            (round(at - since, 1) for at, is_ready, _ in self.ready[service] if is_ready is ready and at >= since), None
        )


@dataclass
class Traffic:
    """Clients of every service: readers, and members that book and buy. Each repeats what was not answered well, with its
    key."""

    cast: Cast
    seen: list[Seen] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    """Sessions whose request was answered with 201 or 202."""
    _booked: str | None = None
    """The session that is not cancelled yet."""

    def requests(self) -> Mapping[str, Callable[[], Awaitable[httpx.Response]]]:
        cast = self.cast
        member, provider = cast.member, cast.provider.subject
        return {
            "read sessions": lambda: member.send("GET", "/v1/sessions"),
            "read schedule": lambda: cast.provider.send("GET", f"/v1/providers/{provider}/schedule"),
            "read credits": lambda: member.send("GET", f"/v1/members/{member.subject}/credits"),
            "read messages": lambda: member.send("GET", f"/v1/rooms/{cast.room_id}/messages"),
        }

    @classmethod
    async def prepare(cls, platform: Platform) -> Traffic:
        """Makes the people, who are told everything by e-mail and by WhatsApp."""
        cast = await platform.cast()
        for person in (cast.member, cast.provider):
            path = f"/v1/people/{person.subject}/contact"
            channels = {"email": True, "whatsapp": True, "chat": True}
            await person.put(path, {**(await person.get(path)).body, "channels": channels})
        return cls(cast)

    async def run(self) -> None:
        """Sends until cancelled."""
        reading = (self._again(what, send) for what, send in self.requests().items())
        await asyncio.gather(*reading, self._book(), self._buy())

    async def _again(self, what: str, send: Callable[[], Awaitable[httpx.Response]]) -> None:
        while True:
            await self._one(what, send)
            await asyncio.sleep(_PAUSE)

    async def _one(self, what: str, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response | None:
        begun = time.monotonic()
        try:
            answer = await send()
        except httpx.HTTPError as error:
            self._note(what, begun, 0, False, type(error).__name__)
            return None
        self._note(what, begun, answer.status_code, _is_clear(answer), answer.text if answer.is_error else "")
        return answer

    def _note(self, what: str, begun: float, status: int, clear: bool, text: str) -> None:
        self.seen.append(Seen(what, begun, time.monotonic() - begun, status, clear, text))

    async def _insist(self, what: str, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        while True:
            answer = await self._one(what, send)
            again = answer is None or answer.status_code in (429, 502, 503, 504)
            again = again or (answer is not None and "idempotency-in-flight" in answer.text)
            if not again and answer is not None:
                return answer
            await asyncio.sleep(_PAUSE)

    async def _book(self) -> None:
        """Books and cancels, so that neither slots nor credits run out."""
        first = await self.cast.start_in(timedelta(days=4))
        for turn in itertools.cycle(range(400)):
            if self._booked is not None:
                path, key = f"/v1/sessions/{self._booked}/cancel", str(uuid.uuid4())
                await self._insist("cancel", partial(self.cast.member.send, "POST", path, {}, key=key, wait=5))
                self._booked = None
            key, body = str(uuid.uuid4()), self.cast.booking_body(first + turn * timedelta(hours=1))
            booked = await self._insist(
                "book", partial(self.cast.member.send, "POST", "/v1/sessions", body, key=key, wait=5)
            )
            if booked.status_code in (201, 202):
                self._booked = str(booked.json()["id"])
                self.accepted.add(self._booked)
            await asyncio.sleep(_PAUSE)

    async def _buy(self) -> None:
        while True:
            key = str(uuid.uuid4())
            await self._insist("buy", partial(self.cast.member.send, "POST", "/v1/purchases", {"quantity": 1}, key=key))
            await asyncio.sleep(4 * _PAUSE)


@dataclass(frozen=True)
class Outcome:
    """What one fault did. Times are in seconds; None: it did not happen."""

    longest: dict[str, float]
    """By kind of request: the longest one that began before or during the fault and was not over before it."""
    answers: dict[str, dict[int, int]]
    """By kind of request: how many got each status during the fault."""
    unclear: list[str]
    dead: list[str]
    slowest_alive: float
    """The slowest answer of /livez."""
    not_ready: dict[str, float | None]
    """By service: after how long it said that it is not ready."""
    ready_again: dict[str, float | None]
    """By service that was not ready: how long after the fault it said that it is ready."""
    served_again: dict[str, float | None]
    """By kind of request: how long after the fault one that began after it succeeded."""
    reasons: list[str]
    """What /readyz said."""
    stretch: float
    """How many times longer everything took because the machine was busy. At least 1."""


async def suffer(
    platform: Platform,
    traffic: Traffic,
    begin: Callable[[], object],
    heal: Callable[[], object],
    *,
    seconds: float,
    recovery: float = 20,
) -> Outcome:
    """Lets something suffer under traffic for so many seconds, from `begin` to `heal`, which may block. Then waits until
    everything works again, but not longer than `recovery` seconds."""
    probes = Probes(platform)
    traffic.seen.clear()
    kinds = sorted({*traffic.requests(), "book", "cancel", "buy"})

    def all_work(since: float) -> bool:
        return probes.all_ready and all(_first_good(traffic, kind, since) is not None for kind in kinds)

    with Weather() as weather:
        running = [asyncio.create_task(probes.run()), asyncio.create_task(traffic.run())]
        try:
            await _until(lambda: all_work(0), 120, lambda: f"{traffic.seen[-12:]}")
            probes.dead.clear()  # processes may have been starting
            probes.slowest = 0.0
            begun = time.monotonic()
            await asyncio.to_thread(begin)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(heal)
            healed = time.monotonic()
            with suppress(TimeoutError):
                await _until(lambda: all_work(healed), recovery)
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
    if errors := [one for one in ended if isinstance(one, Exception)]:
        raise errors[0]  # whoever stopped looking has seen nothing
    during = [one for one in traffic.seen if one.begun < healed and one.begun + one.seconds >= begun]
    by_kind = {kind: [one for one in during if one.what == kind] for kind in kinds}
    return Outcome(
        longest={kind: round(max((one.seconds for one in found), default=0), 1) for kind, found in by_kind.items()},
        answers={kind: dict(Counter(one.status for one in found)) for kind, found in by_kind.items()},
        unclear=sorted({f"{one.what}: {one.status} {one.text[:150]}" for one in during if not one.clear}),
        dead=probes.dead,
        slowest_alive=round(probes.slowest, 1),
        not_ready={service: probes.changed(service, False, begun) for service in SERVICES},
        ready_again={
            service: probes.changed(service, True, healed)
            for service in SERVICES
            if not probes.ready_at(service, healed)
        },
        served_again={kind: _first_good(traffic, kind, healed) for kind in kinds},
        reasons=sorted({why for seen in probes.ready.values() for at, _, why in seen if why and at >= begun}),
        stretch=weather.stretch(begun),
    )


def _first_good(traffic: Traffic, kind: str, since: float) -> float | None:
    ends = (
        one.begun + one.seconds - since
        for one in traffic.seen
        if one.what == kind and one.begun >= since and one.status in GOOD
    )
    return next((round(end, 1) for end in ends), None)


async def _until(holds: Callable[[], bool], seconds: float, told: Callable[[], str] = str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 (there is nothing to wait for)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not so after {seconds:g} s: {told()}") from None


async def lost(platform: Platform, traffic: Traffic) -> list[str]:
    """Everything that is wrong once all has been handled: lost sessions, credits that are not settled, messages that were not
    sent, and what the audit finds."""
    await drained(platform)
    wrong = await asyncio.to_thread(platform.audit)
    member = traffic.cast.member
    sessions = {item["id"]: item for item in await every_item(member, "/v1/sessions")}
    wrong += [f"session {session} was accepted and is gone" for session in traffic.accepted - sessions.keys()]
    undecided = (session for session, item in sessions.items() if item["status"] == "requested")
    wrong += [f"session {session} was never decided" for session in undecided]
    wrong += settled(sessions.values(), await every_item(member, f"/v1/members/{member.subject}/ledger"))
    return wrong + await _unsent(platform)


async def _unsent(platform: Platform) -> list[str]:
    """Messages that were not handed over, once their channels have had the time, and channels that had none at all."""
    auditor = await asyncpg.connect(platform.stack.database_url("notifications", "auditor"))
    try:
        async with asyncio.timeout(300):  # what failed is tried again later and later
            while await auditor.fetchval("SELECT count(*) FROM deliveries WHERE status = 'queued'"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        # A WhatsApp message that was on its way is never repeated, because its reader might read it twice.
        rows = await auditor.fetch(
            "SELECT channel, status, count(*) FROM deliveries"
            " WHERE (channel, status, reason) IS DISTINCT FROM ('whatsapp', 'failed', 'unknown') GROUP BY 1, 2"
        )
    finally:
        await auditor.close()
    counts = {(row["channel"], row["status"]): row["count"] for row in rows}
    wrong = [
        f"{count} messages by {channel} {status}" for (channel, status), count in counts.items() if status == "failed"
    ]
    return wrong + [f"no message by {one}" for one in ("email", "whatsapp") if not counts.get((one, "sent"))]
