"""A platform whose every server and provider is behind a proxy that can be slow, silent, reset or gone (REL-9), and what its
clients and operators see of that."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, get_args

import httpx
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES, free_port

from makegood_testkit.databases import Databases, settings_of
from makegood_testkit.fault_proxy import Fault, FaultProxy
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.stripe_server import StripeServer

Dependency = Literal["postgresql", "kafka", "redis", "smtp", "payments", "whatsapp", "jwks"]
DEPENDENCIES: Final[tuple[Dependency, ...]] = get_args(Dependency)
NEEDED: Final[frozenset[Dependency]] = frozenset({"postgresql", "kafka"})
"""What a process of the role `all` needs to be ready."""
_EVERY: Final = 0.1
"""Seconds between two looks at a probe."""
_PAUSE: Final = 0.25
"""Seconds between two requests of one client."""


@dataclass
class FaultyPlatform:
    """The platform and the proxies in front of what it depends on."""

    platform: Platform
    proxies: Mapping[Dependency, FaultProxy]
    stripe: StripeServer


@contextmanager
def faulty_platform(folder: Path, **settings: str) -> Iterator[FaultyPlatform]:
    """A platform on servers of its own. `settings` are those of its services."""
    with ExitStack() as stack:
        servers = stack.enter_context(EmbeddedServers())
        postgres, redis = servers.postgres(), servers.redis()
        proxies: dict[Dependency, FaultProxy] = {
            "postgresql": stack.enter_context(FaultProxy(postgres.port)),
            "redis": stack.enter_context(FaultProxy(redis.port)),
        }
        # Clients connect to the address that the broker tells them, which is the proxy's.
        broker = free_port()
        proxies["kafka"] = stack.enter_context(FaultProxy(broker, free_port()))
        servers.kafka(settings={"advertised.listeners": f"PLAINTEXT://{proxies['kafka'].address}"}, port=broker)
        stripe = StripeServer()
        proxies["payments"] = stack.enter_context(FaultProxy(stack.enter_context(stripe.serving())))
        databases = Databases(postgres.url)
        urls = {service: asyncio.run(databases.make(service)) for service in SERVICES}
        environment: dict[str, str] = {}
        for service, url in urls.items():
            behind = url.replace(f":{postgres.port}/", f":{proxies['postgresql'].port}/")
            environment |= settings_of(service, behind)
        platform = Platform.at(folder, environment)
        ports = platform.stack.ports
        proxies["smtp"] = stack.enter_context(FaultProxy(ports.of("smtp")))
        for name in ("whatsapp", "jwks"):
            proxies[name] = stack.enter_context(FaultProxy(ports.of("mail")))
        environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": proxies["kafka"].address,
            "REDIS_URL": redis.url.replace(f":{redis.port}/", f":{proxies['redis'].port}/"),
            "SMTP_PORT": str(proxies["smtp"].port),
            "WHATSAPP_URL": f"http://{proxies['whatsapp'].address}/whatsapp",
            "JWKS_URL": f"http://{proxies['jwks'].address}/.well-known/jwks.json",
            "EVENT_KEYS_URL": f"http://{proxies['jwks'].address}/.well-known/event-keys.json",
            "JWKS_REFRESH": "2",
            "PAYMENT_PROVIDER": "stripe",
            "STRIPE_SECRET_KEY": "sk_test_1",
            "STRIPE_WEBHOOK_SECRET": "whsec_1",
            "STRIPE_API_BASE": f"http://{proxies['payments'].address}",
            **settings,
        }
        platform = Platform(platform.home, platform.choices, environment)
        stack.callback(platform.down)
        platform.up()
        yield FaultyPlatform(platform, proxies, stripe)
        for proxy in proxies.values():
            if proxy.fault is not None:
                proxy.heal()


@dataclass(frozen=True)
class Seen:
    """One answer. `status` 0: the connection broke. `clear`: a success, a rule's refusal, or a 503 as promised."""

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
    return answer.status_code == 503 and kind == "application/problem+json" and "retry-after" in answer.headers


@dataclass
class Probes:
    """What the probes of all services say, from `run()` on."""

    platform: Platform
    ready: dict[str, list[tuple[float, bool, str]]] = field(default_factory=dict)
    """By service: when readiness changed, to what, and why."""
    dead: list[str] = field(default_factory=list)
    """Probes of /livez that failed or took longer than a second."""

    async def run(self) -> None:
        """Looks until cancelled."""
        async with httpx.AsyncClient(timeout=3, trust_env=False) as http:
            await asyncio.gather(*(self._follow(http, service) for service in SERVICES))

    async def _follow(self, http: httpx.AsyncClient, service: str) -> None:
        base = f"http://{LISTEN}:{self.platform.stack.ports.of(service) + PROBES_ABOVE}"
        changes = self.ready.setdefault(service, [])
        while True:
            try:
                begun = time.monotonic()
                alive = await http.get(f"{base}/livez")
                if alive.status_code != 200 or time.monotonic() - begun > 1:
                    self.dead.append(f"{service} {alive.status_code} after {time.monotonic() - begun:.1f} s")
                answer = await http.get(f"{base}/readyz")
                if not changes or changes[-1][1] != answer.is_success:
                    changes.append((time.monotonic(), answer.is_success, "" if answer.is_success else answer.text))
            except httpx.HTTPError as error:
                self.dead.append(f"{service} {type(error).__name__}")
            await asyncio.sleep(_EVERY)

    @property
    def all_ready(self) -> bool:
        return len(self.ready) == len(SERVICES) and all(seen and seen[-1][1] for seen in self.ready.values())

    def changed(self, service: str, ready: bool, since: float) -> float | None:
        """Seconds from `since` until the service's readiness became this; None if it never did."""
        return next((at - since for at, is_ready, _ in self.ready[service] if is_ready is ready and at >= since), None)


@dataclass
class Traffic:
    """Clients of every service: readers, and members that book and buy. Each repeats what was not answered well, with its
    key."""

    cast: Cast
    seen: list[Seen] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    """Sessions whose request was answered with 201 or 202."""

    def requests(self) -> Mapping[str, Callable[[], Awaitable[httpx.Response]]]:
        cast = self.cast
        member, provider = cast.member, cast.provider.subject
        return {
            "read sessions": lambda: member.send("GET", "/v1/sessions"),
            "read schedule": lambda: cast.provider.send("GET", f"/v1/providers/{provider}/schedule"),
            "read credits": lambda: member.send("GET", f"/v1/members/{member.subject}/credits"),
            "read messages": lambda: member.send("GET", f"/v1/rooms/{cast.room_id}/messages"),
        }

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
            key, body = str(uuid.uuid4()), self.cast.booking_body(first + turn * timedelta(hours=1))
            booked = await self._insist(
                "book", lambda: self.cast.member.send("POST", "/v1/sessions", body, key=key, wait=5)
            )
            if booked.status_code in (201, 202):
                session = str(booked.json()["id"])
                self.accepted.add(session)
                path, ended = f"/v1/sessions/{session}/cancel", str(uuid.uuid4())
                await self._insist("cancel", lambda: self.cast.member.send("POST", path, {}, key=ended))
            await asyncio.sleep(_PAUSE)

    async def _buy(self) -> None:
        while True:
            key = str(uuid.uuid4())
            await self._insist(
                "buy", lambda: self.cast.member.send("POST", "/v1/purchases", {"quantity": 1}, key=key)
            )
            await asyncio.sleep(4 * _PAUSE)


@dataclass(frozen=True)
class Outcome:
    """What one fault did. Times are in seconds; None: it did not happen."""

    dependency: Dependency
    fault: Fault
    longest: dict[str, float]
    """By kind of request: the longest one that began before or during the fault and was not over before it."""
    answers: dict[str, dict[str, int]]
    """By kind of request: how many got each status during the fault."""
    unclear: list[str]
    dead: list[str]
    not_ready: dict[str, float | None]
    """By service: after how long it said that it is not ready."""
    ready_again: dict[str, float | None]
    """By service that was not ready: how long after the fault it said that it is ready."""
    served_again: dict[str, float | None]
    """By kind of request: how long after the fault one that began after it succeeded."""


GOOD: Final = frozenset({200, 201})


async def suffer(
    faulty: FaultyPlatform, traffic: Traffic, dependency: Dependency, fault: Fault, *, seconds: float, recovery: float = 20
) -> Outcome:
    """Lets the dependency suffer the fault under traffic for so many seconds, and waits until everything works again, but
    not longer than `recovery` seconds."""
    probes = Probes(faulty.platform)
    traffic.seen.clear()
    running = [asyncio.create_task(probes.run()), asyncio.create_task(traffic.run())]
    kinds = {*traffic.requests(), "book", "cancel", "buy"}
    proxy = faulty.proxies[dependency]
    try:
        await _until(lambda: probes.all_ready and kinds <= _served(traffic, 0), 30)
        begun = time.monotonic()
        await asyncio.to_thread(proxy.begin, fault)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(proxy.heal)
        healed = time.monotonic()
        with suppress(TimeoutError):
            await _until(lambda: probes.all_ready and kinds <= _served(traffic, healed), recovery)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    during = [one for one in traffic.seen if one.begun < healed and one.begun + one.seconds >= begun]
    not_ready = {service: probes.changed(service, False, begun) for service in SERVICES}
    return Outcome(
        dependency,
        fault,
        {kind: round(max((one.seconds for one in during if one.what == kind), default=0), 1) for kind in sorted(kinds)},
        {kind: dict(Counter(str(one.status) for one in during if one.what == kind)) for kind in sorted(kinds)},
        sorted({f"{one.what}: {one.status} {one.text[:150]}" for one in during if not one.clear}),
        probes.dead,
        not_ready,
        {
            service: probes.changed(service, True, healed)
            for service in SERVICES
            if not probes_ready_at(probes, service, healed)
        },
        {kind: _first_good(traffic, kind, healed) for kind in sorted(kinds)},
    )


def probes_ready_at(probes: Probes, service: str, moment: float) -> bool:
    """Whether the service said at this moment that it is ready."""
    return [ready for at, ready, _ in probes.ready[service] if at <= moment][-1]


def _served(traffic: Traffic, since: float) -> set[str]:
    return {one.what for one in traffic.seen if one.begun >= since and one.status in GOOD}


def _first_good(traffic: Traffic, kind: str, since: float) -> float | None:
    ends = (
        one.begun + one.seconds - since
        for one in traffic.seen
        if one.what == kind and one.begun >= since and one.status in GOOD
    )
    return next((round(end, 1) for end in ends), None)


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.05)
