"""The whole platform for stories: four services, gateway and mail, started as by `makegood up`, in a separate folder."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from makegood_contracts.envelope import Received
from makegood_devtools.client import Answer, Gateway, Person, Refused
from makegood_devtools.mail_reader import MailReader
from makegood_stack import restarting
from makegood_stack import up as starting
from makegood_stack.config import Choices, Stack
from makegood_stack.devclock import DevelopmentClock
from makegood_stack.home import Home, find_root
from makegood_stack.port_claims import claim
from makegood_stack.ports import MOST_PROCESSES, PROBES_ABOVE, is_free
from makegood_stack.processes import Supervisor
from makegood_stack.restarting import Restarted
from makegood_stack.ticker import Ticker
from rich.console import Console

_SERVING = (8101, 8102, 8103, 8104, 8111, 8112, 8113, 8114)
_WORKING = tuple(port + 10 * MOST_PROCESSES for port in _SERVING)
"""Where the processes in role `work` of a split service would serve, which have only a port for probes."""
_PROBED = tuple(port + PROBES_ABOVE for port in (*_SERVING, *_WORKING))
_PORTS = (8080, 9901, 9092, 9093, 5432, 6379, 1025, 8025, *_SERVING, *_PROBED)


def free_offset() -> int:
    """A port offset at which every port of a stack is free. No other process gets it here until this one ends."""
    # Below the range for outgoing connections, which could take a port first.
    for offset in random.sample(range(11_000, 22_800, 137), k=87):
        ports = [port + offset for port in _PORTS]
        if all(map(is_free, ports)) and claim(ports):
            return offset
    raise RuntimeError("no port offset is free")


@dataclass
class Platform:
    """A running platform. Each story makes its own people, rooms and plans, so that stories do not affect each other."""

    home: Home
    choices: Choices
    environment: Mapping[str, str] = field(default_factory=dict)
    console: Console = field(default_factory=lambda: Console(quiet=True))
    _gateway: Gateway | None = None
    _clock: DevelopmentClock | None = None

    @classmethod
    def at(cls, folder: Path, environment: Mapping[str, str] | None = None, **choices: Any) -> Platform:
        """A platform with all its files in `folder`. `environment` may name external servers to use instead of embedded
        ones.
        """
        home = Home(root=find_root(), state=folder / ".makegood")
        return cls(home, Choices(port_offset=free_offset(), **choices), environment or {})

    @property
    def stack(self) -> Stack:
        names = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
        external = {k: v for k, v in self.environment.items() if k in names or k.endswith("_DATABASE_URL")}
        return Stack(self.home, self.choices, external)

    @property
    def topic_prefix(self) -> str:
        return self.environment.get("KAFKA_TOPIC_PREFIX", "")

    def up(self) -> None:
        """Starts what is not running."""
        with self._environment():
            starting.up(self.home, self.choices, self.console)

    def restart(self, name: str) -> list[Restarted]:
        """Restarts a service, one of its roles, or one process, as `makegood restart` does."""
        with self._environment():
            return restarting.restart(self.home, name, self.console)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def down(self) -> None:
        starting.down(self.home, self.console)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Starts the platform for the block, and stops it afterwards, also if the start fails."""
        try:
            await asyncio.to_thread(self.up)
            yield self
        finally:
            await self.close()
            await asyncio.to_thread(self.down)

    def pid(self, process: str) -> int:
        """The process id of a part, by its name in `makegood status`. Raises KeyError if it is not running."""
        return Supervisor(self.home).running()[process].pid

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs `makegood …` against this platform."""
        environment = {**os.environ, **self.environment, "MAKEGOOD_HOME": str(self.home.state.parent)}
        command = [sys.executable, "-m", "makegood_cli.main", *words]
        return subprocess.run(  # noqa: S603 - our own command
            command, env=environment, cwd=self.home.root, capture_output=True, text=True, check=False
        )

    def audit(self) -> list[str]:
        """The violations that `makegood audit` finds."""
        result = self.command("audit", "--json")
        if result.returncode not in (0, 1):
            raise RuntimeError(f"audit failed: {result.stderr[-2000:]}")
        return [str(violation) for violation in json.loads(result.stdout)["violations"]]

    # -- inside the event loop

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            self._gateway = Gateway(self.stack.base_url, self.home.identity)
        return self._gateway

    @property
    def clock(self) -> DevelopmentClock:
        if self._clock is None:
            self._clock = DevelopmentClock.of(self.stack)
        return self._clock

    async def close(self) -> None:
        """Closes connections. The platform keeps running."""
        if self._gateway is not None:
            await self._gateway.http.aclose()
        if self._clock is not None:
            await self._clock.__aexit__()
        self._gateway = self._clock = None

    def person(self, role: str, subject: str) -> Person:
        return self.gateway.person(role, subject)

    def mailbox(self, address: str) -> MailReader:
        return MailReader(self.stack.mail_url, address)

    def ticker(self, about: Callable[[Received[Any]], bool]) -> Ticker:
        return Ticker(self.stack.kafka, self.topic_prefix, about)

    async def now(self) -> datetime:
        """Product time."""
        return datetime.fromisoformat(str((await self.clock.now())["booking"]["now"]))

    async def advance(self, by: timedelta) -> None:
        """Moves the development clock, and waits until everything due has been handled."""
        await self.clock.advance(by)

    async def settle(self) -> None:
        """Waits until every service has handled everything that happened so far."""
        await self.clock.settle()

    async def advance_to(self, moment: datetime) -> None:
        await self.advance(moment - await self.now())

    async def cast(self, **options: Any) -> Cast:
        """A member and a provider with plan, schedule, contact details and room."""
        return await Cast.assemble(self, **options)


WHO = "Quillfeather"
"""A canary: part of the surname, address and telephone number of everybody in a story, and of everything they say in a
chat. It must never be in a log, topic, dead letter or trace, nor in a database other than that of notifications
(SEC-3).
"""

WHAT = "Thistledown"
"""A canary: part of every remark, note and reason of a story. It must never be in a log, topic, dead letter or trace
(SEC-3).
"""

PHONE = "+49157559"
"""The start of every telephone number of a story, before five more digits. A canary like the others."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ROUND_THE_CLOCK = [{"day": day, "from": "00:00", "to": "24:00"} for day in _DAYS]


def address(person: Person) -> str:
    """The e-mail address of a person in a story."""
    return f"{person.subject}@{WHO.lower()}.example"


@dataclass
class Cast:
    """The people in a story."""

    platform: Platform
    member: Person
    provider: Person
    support: Person
    room_id: str
    length: int
    modality: str
    zone: str

    @classmethod
    async def assemble(
        cls,
        platform: Platform,
        *,
        plan: str | None = "out-of-pocket-4",
        length: int = 30,
        modality: str = "video",
        zone: str = "Europe/Berlin",
        schedule: Mapping[str, Any] | None = None,
        provider: Person | None = None,
        ends_in: timedelta | None = None,
    ) -> Cast:
        """Creates the people. `plan=None`: the member is not enrolled. `provider`: one who already has a schedule.
        `ends_in`: how long coverage lasts from now.
        """
        run = uuid.uuid4().hex[:8]
        member = platform.person("member", f"member-{run}")
        support = platform.person("support", f"support-{run}")
        now = await platform.now()
        if provider is None:
            provider = platform.person("provider", f"provider-{run}")
            body = {
                "time_zone": "UTC",
                "weekly": ROUND_THE_CLOCK,
                "minimum_notice_minutes": 0,
                "horizon_days": 365,
                "session_types": [{"length_minutes": length, "modalities": [modality]}],
                **(schedule or {}),
            }
            await provider.put(f"/v1/providers/{provider.subject}/schedule", body)
        for person, name in ((member, "Robin"), (provider, "Dr. Lee")):
            contact = {
                "name": f"{name} {WHO}",
                "email": address(person),
                "phone": f"{PHONE}{random.randrange(10**5):05}",
                "time_zone": zone,
            }
            await person.put(f"/v1/people/{person.subject}/contact", contact)
        if plan is not None:
            enrolment = {"plan_id": plan, "starts_on": now.date().isoformat()}
            if ends_in is not None:
                enrolment["ends_on"] = (now + ends_in).date().isoformat()
            await support.put(f"/v1/members/{member.subject}/enrolment", enrolment)
        room = await support.post("/v1/rooms", {"member_id": member.subject, "provider_id": provider.subject})
        return cls(platform, member, provider, support, str(room["id"]), length, modality, zone)

    def about(self, received: Received[Any]) -> bool:
        """Whether an event is about the people of this cast."""
        people = {self.member.subject, self.provider.subject}
        return any(getattr(received.event, name, None) in people for name in ("member_id", "provider_id", "person_id"))

    def ticker(self) -> Ticker:
        return self.platform.ticker(self.about)

    def inbox(self, person: Person | None = None) -> MailReader:
        return self.platform.mailbox(address(person or self.member))

    async def start_in(self, notice: timedelta) -> datetime:
        """The first moment on the schedule's grid of quarter hours that is at least `notice` away."""
        earliest = (await self.platform.now()) + notice
        quarter = timedelta(minutes=15)
        midnight = earliest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + -(-(earliest - midnight) // quarter) * quarter

    def booking_body(self, start: datetime, **changes: Any) -> dict[str, Any]:
        """The body of a booking."""
        return {
            "room_id": self.room_id,
            "starts_at": start.isoformat(),
            "length_minutes": self.length,
            "modality": self.modality,
            "time_zone": self.zone,
            **changes,
        }

    async def book(self, notice: timedelta = timedelta(days=4), **changes: Any) -> dict[str, Any]:
        """A reserved session that starts at least `notice` from now."""
        answer = await self.member.post(
            "/v1/sessions", self.booking_body(await self.start_in(notice), **changes), wait=15
        )
        return dict(answer.body)

    async def booked_by_support(self, start: datetime) -> Answer:
        """A session that support has booked, once booking has heard of the member's plan. Raises Refused."""

        async def attempt() -> Answer | None:
            try:
                return await self.support.post("/v1/sessions", self.booking_body(start), wait=15)
            except Refused as refusal:
                if refusal.slug != "support-may-not":
                    raise
                return None

        booked: Answer = await self.eventually(attempt, lambda answer: answer is not None)
        return booked

    async def confirmed(self, notice: timedelta = timedelta(days=4), **changes: Any) -> dict[str, Any]:
        """A confirmed session."""
        session = await self.book(notice, **changes)
        return dict((await self.provider.post(f"/v1/sessions/{session['id']}/confirm")).body)

    async def session(self, session: Mapping[str, Any]) -> dict[str, Any]:
        return dict((await self.member.get(f"/v1/sessions/{session['id']}")).body)

    async def move(
        self, session: Mapping[str, Any], start: datetime, who: Person | None = None, **changes: Any
    ) -> Answer:
        """Moves a session, as the member unless `who` is given, and waits for the outcome. Raises Refused."""
        body = {"starts_at": start.isoformat(), **changes}
        version = (await self.session(session))["version"]
        path = f"/v1/sessions/{session['id']}/reschedule"
        return await (who or self.member).post(path, body, version=version, wait=15)

    async def attended(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """Lets both parties join, and moves the clock to the session's end."""
        await self.platform.advance_to(datetime.fromisoformat(session["starts_at"]) - timedelta(minutes=1))
        for person in (self.member, self.provider):
            await person.post(f"/v1/sessions/{session['id']}/join")
        await self.platform.advance_to(datetime.fromisoformat(session["ends_at"]))
        return dict(await self.eventually(lambda: self.session(session), lambda seen: seen["status"] == "completed"))

    async def credits(self) -> dict[str, Any]:
        return dict((await self.member.get(f"/v1/members/{self.member.subject}/credits")).body)

    async def ledger(self) -> list[dict[str, Any]]:
        """The member's statement, oldest first."""
        answer = await self.member.get(f"/v1/members/{self.member.subject}/ledger", limit=200)
        return list(reversed(answer["items"]))

    async def chat(self) -> list[dict[str, Any]]:
        answer = await self.member.get(f"/v1/rooms/{self.room_id}/messages", limit=200)
        return list(answer["items"])

    async def eventually(self, look: Callable[[], Any], good: Callable[[Any], bool], *, seconds: float = 15) -> Any:
        """The result of `look` (an async function) as soon as it is `good`. Raises AssertionError with the last result."""
        seen: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = await look()
                    if good(seen):
                        return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not so after {seconds:g} s; last seen: {seen}") from None

    async def balance(self, *, available: int, held: int) -> dict[str, Any]:
        """The member's credits, once they have these values."""
        wanted = (available, held)
        return dict(await self.eventually(self.credits, lambda seen: (seen["available"], seen["held"]) == wanted))

    async def settled(self, session: Mapping[str, Any], status: str, credit: str) -> dict[str, Any]:
        """The session, once it has this status and its credit has this state."""
        return dict(
            await self.eventually(
                lambda: self.session(session),
                lambda seen: seen["status"] == status and seen["credit"]["state"] == credit,
            )
        )


__all__ = ["PHONE", "WHAT", "WHO", "Answer", "Cast", "Platform", "address", "free_offset"]
