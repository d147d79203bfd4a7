"""The start of every demo story: a member with a plan, a provider with a schedule, a room, and a reader of the topics."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from makegood_chassis.kafka_connection import Brokers
from makegood_contracts.envelope import Received
from makegood_devtools.client import Answer, Gateway, Person
from makegood_devtools.errors import UserError
from makegood_devtools.mail_reader import MailReader
from makegood_stack.ticker import Passed, Ticker

from makegood_cli.demo.screen import Screen, credit_line, local
from makegood_cli.demo.trace import TraceReader, show

T = TypeVar("T")

GATEWAY_ROUTE = "booking:/v1/sessions"
"""What the gateway calls the route of a booking."""
MEMBER_ZONE = "Europe/Berlin"
PROVIDER_ZONE = "America/New_York"
CONFIRMED = "Your session is confirmed! Mark your calendar."

SCHEDULE: dict[str, Any] = {
    "time_zone": PROVIDER_ZONE,
    "weekly": [
        {"day": day, "from": "09:00", "to": "17:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
    ],
    "buffer_after_minutes": 10,
    "minimum_notice_minutes": 120,
    "horizon_days": 60,
    "session_types": [{"length_minutes": 30, "modalities": ["video", "audio", "chat"]}],
}


@dataclass(frozen=True)
class Stage:
    """What a story needs to run. `clock_now` and `advance_to` use the development clock."""

    gateway: Gateway
    bootstrap: Brokers
    topic_prefix: str
    mail_url: str
    screen: Screen
    clock_now: Callable[[], Awaitable[datetime]]
    advance_to: Callable[[datetime], Awaitable[None]]
    first_booking: Callable[[], None]
    """Called after the first booking, to measure the time."""
    traces: TraceReader | None = None
    """Where the traces are, if they are to be shown."""


@dataclass
class Company:
    """The people in a story. The methods are steps that several stories share; they print what they do."""

    stage: Stage
    member: Person
    provider: Person
    support: Person
    mailbox: MailReader
    ticker: Ticker
    room_id: str = ""

    @property
    def screen(self) -> Screen:
        return self.stage.screen

    async def enrol(self, plan: str, **more: Any) -> None:
        """Enrols the member in a plan from today."""
        path = f"/v1/members/{self.member.subject}/enrolment"
        body = {"plan_id": plan, "starts_on": f"{await self.stage.clock_now():%Y-%m-%d}", **more}
        answer = await self.support.put(path, body)
        self.screen.request("support", "PUT", path, f"{answer.status}  {plan}")

    async def slots(self, notice: timedelta) -> list[dict[str, Any]]:
        """The provider's slots in the week that starts `notice` from now."""
        path, after = f"/v1/providers/{self.provider.subject}/slots", (await self.stage.clock_now()) + notice
        slots = await self.member.get(
            path,
            **{
                "from": after.isoformat(),
                "to": (after + timedelta(days=7)).isoformat(),
                "length_minutes": 30,
                "modality": "video",
                "time_zone": MEMBER_ZONE,
            },
        )
        return list(slots["items"])

    async def book(self, starts_at: str, *, quietly: bool = False) -> Answer:
        """Books as the member, and prints the events unless `quietly`."""
        body = {
            "room_id": self.room_id,
            "starts_at": starts_at,
            "length_minutes": 30,
            "modality": "video",
            "time_zone": MEMBER_ZONE,
        }
        session = await self.member.post("/v1/sessions", body, wait=15)
        self.stage.first_booking()
        self.screen.request(
            "member",
            "POST",
            "/v1/sessions",
            f"{session.status} {session['status']} for {local(session['starts_at'], MEMBER_ZONE)}, "
            f"credit {session['credit']['state']}",
        )
        seen = await self.ticker.until("SessionRequested", "SlotHeld", "CreditHeld", "SessionReserved")
        if not quietly:
            self.screen.events(seen)
            await self.show_trace(seen, "SessionRequested", f"POST {GATEWAY_ROUTE}", "process SessionReserved")
        return session

    async def show_trace(self, seen: Sequence[Passed], name: str, *expected: str) -> None:
        """Prints the trace that the event of this name belongs to, if traces are to be shown. `expected`: spans to wait for."""
        if self.stage.traces is not None:
            received = next(passed.received for passed in seen if passed.name == name)
            await show(self.screen, self.stage.traces, received, expected)

    async def confirm(self, session: Answer) -> None:
        """Confirms as the provider, and waits for the member's e-mail."""
        path = f"/v1/sessions/{session['id']}/confirm"
        answer = await self.provider.post(path)
        self.screen.request("provider", "POST", path, f"{answer.status} {answer['status']}")
        mail = await self.mailbox.wait_for(CONFIRMED)
        self.screen.events(await self.ticker.until("SessionConfirmed", *["MessageDelivered"] * 2))
        self.screen.mail(mail)

    async def once(self, look: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        """Repeats `look` until its result is `good`. Raises UserError with the last result after 20 s."""
        seen: T | None = None
        try:
            async with asyncio.timeout(20):
                while True:
                    seen = await look()
                    if good(seen):
                        return seen
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise UserError(f"not the expected state after 20 s: {seen}") from None

    async def time_passes(self, moment: datetime) -> None:
        """Moves the development clock."""
        await self.stage.advance_to(moment)
        self.screen.said(f"clock  {local(moment, MEMBER_ZONE)}")

    async def show_credits(self) -> None:
        path = f"/v1/members/{self.member.subject}/credits"
        self.screen.request("member", "GET", path, credit_line((await self.member.get(path)).body))

    async def show_chat(self) -> None:
        """Prints the room's chat, oldest first."""
        messages = await self.member.get(f"/v1/rooms/{self.room_id}/messages")
        for message in reversed(messages["items"]):
            self.screen.said(f"💬 {message['text']}")

    async def show_statement(self) -> None:
        ledger = await self.member.get(f"/v1/members/{self.member.subject}/ledger")
        self.screen.said("The member's statement, oldest first:")
        self.screen.list(
            (item["kind"], f"{item['amount']}   available {item['available_after']}, held {item['held_after']}")
            for item in reversed(ledger["items"])
        )


def _about(ids: set[str]) -> Callable[[Received[Any]], bool]:
    def told(received: Received[Any]) -> bool:
        event = received.event
        return any(getattr(event, name, None) in ids for name in ("member_id", "provider_id", "person_id"))

    return told


@asynccontextmanager
async def company(stage: Stage) -> AsyncIterator[Company]:
    """Sets up new people, so that a story can be played again and again. Plays the first chapter."""
    run = uuid.uuid4().hex[:6]
    member = stage.gateway.person("member", f"member-{run}")
    provider = stage.gateway.person("provider", f"provider-{run}")
    support = stage.gateway.person("support", "support-demo")
    mailbox = MailReader(stage.mail_url, f"{member.subject}@example.com")
    try:
        async with Ticker(stage.bootstrap, stage.topic_prefix, _about({member.subject, provider.subject})) as ticker:
            cast = Company(stage, member, provider, support, mailbox, ticker)
            await _open(cast)
            yield cast
    finally:
        await mailbox.close()


async def _open(cast: Company) -> None:
    screen, member, provider = cast.screen, cast.member, cast.provider
    screen.chapter(
        "A provider publishes a schedule, a member is enrolled in a plan with credits, and they share a room"
    )
    for person, name, zone in ((member, "Robin", MEMBER_ZONE), (provider, "Dr. Lee", PROVIDER_ZONE)):
        contact = {"name": name, "email": f"{person.subject}@example.com", "time_zone": zone}
        await person.put(f"/v1/people/{person.subject}/contact", contact)
    path = f"/v1/providers/{provider.subject}/schedule"
    answer = await provider.put(path, SCHEDULE)
    screen.request("provider", "PUT", path, f"{answer.status}  Mon-Fri 09:00-17:00 {PROVIDER_ZONE}")
    await cast.enrol("out-of-pocket-4")
    room = await cast.support.post("/v1/rooms", {"member_id": member.subject, "provider_id": provider.subject})
    cast.room_id = str(room["id"])
    screen.request("support", "POST", "/v1/rooms", f"{room.status}  room {room['id']}")
    screen.events(await cast.ticker.until("SchedulePublished", "MemberEnrolled", "CreditGranted", "RoomOpened"))
