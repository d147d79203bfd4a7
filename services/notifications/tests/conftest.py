"""The service on a real PostgreSQL, a real SMTP server that keeps what it gets, and an identity provider's key."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest_asyncio
import uvicorn
from aiosmtpd.smtp import SMTP
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failpoints import Failpoint
from makegood_chassis.service import Service
from makegood_contracts import events as facts
from makegood_contracts.envelope import Received
from makegood_contracts.events import Event
from makegood_contracts.events.possible import possible_after
from makegood_contracts.ids import new_id
from makegood_devtools.mailbox import Mailbox
from makegood_devtools.web import web_app
from makegood_notifications.bootstrap import bootstrap
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.notices import Content, Notice, Source
from makegood_notifications.settings import NotificationsSettings
from makegood_testkit.databases import as_login
from makegood_testkit.identity import Identity
from makegood_testkit.moments import possible_at
from makegood_testkit.service import MakeHarness, ServiceHarness, received
from makegood_testkit.waiting import eventually

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PATIENCE = 10.0


@contextmanager
def calling(hook: Callable[[Failpoint], None]) -> Iterator[None]:
    """Whoever reaches a failpoint meanwhile calls the hook there."""
    remove = failpoints.install(hook)
    try:
        yield
    finally:
        remove()


@contextmanager
def crashing(point: Failpoint) -> Iterator[None]:
    """Whoever reaches this point meanwhile dies there."""

    def crash(reached: Failpoint) -> None:
        if reached == point:
            raise RuntimeError("the process dies here")

    with calling(crash):
        yield


def told(template: str, content: Content, at: datetime = START) -> Notice:
    """The notice to the member, out of an event of that moment."""
    return Notice(template, "member", content, Source("e", "c", None, at))


class Inbox:
    """A mail server that keeps what it takes. `answers` gives the reply to the next DATA commands instead of taking them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: list[str] = []
        self.refused_recipients: set[str] = set()
        self.answering = asyncio.Event()
        """While it is clear, the answers to DATA are held back."""
        self.answering.set()
        self.seen_ids: list[str] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused_recipients:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail: Any = email.message_from_bytes(envelope.content, policy=email.policy.default)
        async with self._arrived:
            self.seen_ids.append(mail["Message-ID"])
            answer = self.answers.pop(0) if self.answers else "250 OK"
            if answer.startswith("250"):
                self.mails.append(mail)
            self._arrived.notify_all()
        await self.answering.wait()
        return answer

    async def open(self) -> None:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            self.connections += 1
            return SMTP(self, enable_SMTPUTF8=False)

        self._server = await loop.create_server(protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def wait(self, count: int, *, seconds: float = PATIENCE) -> list[EmailMessage]:
        """The mails, once there are `count`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    async def wait_seen(self, count: int) -> None:
        """Until `count` mails were handed over, whatever the answer."""
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.seen_ids) >= count)

    async def wait_for(self, address: str, count: int, *, seconds: float = PATIENCE) -> list[EmailMessage]:
        """The mails to this address, once there are `count`."""

        def found() -> list[EmailMessage]:
            return [mail for mail in self.mails if mail["To"].addresses[0].addr_spec == address]

        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(found()) >= count)
        return found()


class NotificationsHarness(ServiceHarness[Dependencies]):
    """The service with a mail server and WhatsApp, and a story to tell: Ada's sessions with Grace."""

    inbox: Inbox
    whatsapp: WhatsAppSide

    def __init__(self, service: Service[Dependencies], identity: Identity) -> None:
        super().__init__(service, identity)
        self.member, self.provider = "member-ada", "provider-grace"
        self.ada, self.grace = "ada.canary@example.org", "grace.canary@example.org"
        self.room_id, self.session_id = new_id(), new_id()
        self.versions: defaultdict[str, int] = defaultdict(int)

    def session(self, kind: type[Any], **more: Any) -> Any:
        """An event of the session, at its next version."""
        values: dict[str, Any] = {
            "session_id": self.session_id, "room_id": self.room_id, "member_id": self.member, "provider_id": self.provider,
            "starts_at": START, "ends_at": START + timedelta(minutes=30), "length_minutes": 30, "modality": "video",
            "time_zone": "Europe/Berlin",
        } | more  # fmt: skip
        self.versions[values["session_id"]] += 1
        return kind(**{"session_version": self.versions[values["session_id"]], **values})

    def returned(self, cause: str = "provider_missed", **more: Any) -> Any:
        values = {
            "entry_id": new_id(), "member_id": self.member, "lot_id": new_id(), "amount": 1, "available_after": 1,
            "held_after": 0, "session_id": self.session_id, "hold_id": new_id(), "cause": cause, "source": "plan",
            "expires_at": None,
        }  # fmt: skip
        return facts.CreditReturned(**{**values, **more})

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        """Rows, to be compared with tuples."""
        return list(await super().rows(statement, *values))

    async def happen(self, *events: Any) -> list[Received[Any]]:
        """Events arrive, each in a transaction of its own."""
        batch = [received(event) for event in events]
        for one in batch:
            await self.handle(one)
        return batch

    async def moment_of(self, events: Sequence[Event]) -> datetime:
        """The times of a session count as they are known: it may have been moved."""
        return possible_at([await self._as_it_stands(event) for event in events], self.clock.moment)

    async def _as_it_stands(self, event: Any) -> Any:
        if possible_after(event) is None:
            return event
        rows = await self.rows("SELECT starts_at, ends_at FROM sessions WHERE id = $1", event.session_id)
        return msgspec.structs.replace(event, **dict(rows[0])) if rows else event

    async def reserved(self) -> None:
        """The room is open and the session reserved."""
        opened = facts.RoomOpened(
            room_id=self.room_id, member_id=self.member, provider_id=self.provider, room_version=1, opened_at=START
        )
        await self.happen(opened, self.session(facts.SessionReserved, confirm_by=START))

    async def confirmed(self) -> None:
        """… and confirmed."""
        await self.reserved()
        await self.happen(self.session(facts.SessionConfirmed, confirmed_by="provider"))

    def missed(self, **more: Any) -> Any:
        return self.session(facts.ProviderMissed, absent_party="provider", missed_at=START, grace_minutes=10, **more)

    def cancelled(self, by: str, *, forfeits: bool = False, was_confirmed: bool = True) -> Any:
        return self.session(
            facts.SessionCancelled,
            cancelled_by=by,
            cancelled_at=START,
            forfeits=forfeits,
            was_confirmed=was_confirmed,
        )

    async def register(self, person: str, name: str, address: str, **more: Any) -> None:
        """The person says how they are reached, through the API."""
        role = "member" if person.startswith("member") else "provider"
        body = {"name": name, "email": address, "time_zone": "America/New_York", **more}
        client = self.client(role, person)
        answer = await client.put(f"/v1/people/{person}/contact", json=body)
        assert answer.status_code == 200, answer.text

    async def everybody(self, **member: Any) -> None:
        """Member and provider are known; `member` is more of the member's contact."""
        await self.register(self.member, "Ada Canary", self.ada, **member)
        await self.register(self.provider, "Dr. Grace Canary", self.grace)

    async def only_member(self, **member: Any) -> None:
        """Both are known, and the provider wants no e-mail: every mail is the member's."""
        await self.everybody(**member)
        await self.register(self.provider, "Dr. Grace Canary", self.grace, channels={"email": False})

    async def settled(self) -> None:
        """Nothing is queued any more."""

        async def none_queued() -> bool:
            rows = await self.rows("SELECT count(*) FROM deliveries WHERE status = 'queued'")
            return bool(rows[0][0] == 0)

        await eventually(none_queued)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """The delivery workers run."""
        dependencies = self.service.dependencies
        tasks = [
            asyncio.create_task(email_worker.run())
            for email_worker in (dependencies.email_worker, dependencies.whatsapp_worker)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def moved(self, by: str, *, start: datetime | None = None, **more: Any) -> Any:
        """The session stands an hour later, or at `start`."""
        start = start or START + timedelta(hours=1)
        values: dict[str, Any] = {
            "starts_at": start, "ends_at": start + timedelta(minutes=30), "move_id": new_id(), "moved_by": by,
            "moved_at": self.clock.now(), "old_starts_at": START, "old_ends_at": START + timedelta(minutes=30),
            "forfeits": False, "confirmed": by == "provider", "confirm_by": None,
        }  # fmt: skip
        return self.session(facts.SessionMoved, **{**values, **more})


@pytest_asyncio.fixture
async def inbox() -> AsyncIterator[Inbox]:
    server = Inbox()
    await server.open()
    yield server
    await server.close()


class WhatsAppSide:
    """The development side's WhatsApp, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def messages(self) -> list[dict[str, Any]]:
        """What came, newest first."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            found: list[dict[str, Any]] = (await client.get("/api/v1/whatsapp")).json()["messages"]
        return found


@pytest_asyncio.fixture
async def whatsapp(tmp_path: Path) -> AsyncIterator[WhatsAppSide]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(web_app(Mailbox(), tmp_path), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve([listener]))
    yield WhatsAppSide(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server.should_exit = True
    await serving


@pytest_asyncio.fixture
async def harness(
    make_harness: MakeHarness, database_factory: Any, inbox: Inbox, whatsapp: WhatsAppSide
) -> NotificationsHarness:
    url = await database_factory("notifications")
    made = await make_harness(
        "notifications",
        bootstrap,
        NotificationsSettings,
        START - timedelta(days=3),
        NotificationsHarness,
        database_url=url,
        pruner_database_url=as_login(url, "pruner"),
        smtp_port=inbox.port,
        public_base_url="https://app.example.org",
        whatsapp_url=f"{whatsapp.url}/whatsapp",
        whatsapp_phone_number_id="1000",
        whatsapp_token="secret",
    )
    made.inbox, made.whatsapp = inbox, whatsapp
    return made
