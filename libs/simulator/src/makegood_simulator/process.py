"""One process of a service: its real wiring, consumer, relay, deadline worker, mail worker and HTTP side, moved step by step."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Any

import httpx
from fastapi import FastAPI
from makegood_availability import bootstrap as availability
from makegood_availability.settings import AvailabilitySettings
from makegood_booking import bootstrap as booking
from makegood_booking.settings import BookingSettings
from makegood_chassis.connections import Connections
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.deadlines import Deadlines
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.service import Service
from makegood_contracts.topics import ServiceName
from makegood_credits import bootstrap as credits_
from makegood_credits.settings import CreditsSettings
from makegood_notifications import bootstrap as notifications
from makegood_notifications.mail.composer import Mail
from makegood_notifications.settings import NotificationsSettings

from makegood_simulator.log import MemoryBatchProducer, MemoryConsumer, MemoryLog
from makegood_simulator.virtual import SkewedClock, VirtualTime

_MESSAGE_ID = re.compile(rb"^Message-ID: *<([^@>]+)@", re.IGNORECASE | re.MULTILINE)
_POOL = 4
_BATCH = 200
_LEASE = 1e6
"""Seconds of real time; in the simulator a lease ends when a step says so."""


class MailServer:
    """Takes every mail."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        """The deliveries of the mails, in order."""

    async def send(self, compose: Callable[[], Mail]) -> None:
        named = _MESSAGE_ID.search(compose().content)
        assert named is not None
        self.taken.append(named[1].decode())

    async def close(self) -> None: ...


def wire(name: ServiceName, url: str, identity: str, clock: SkewedClock, mail: MailServer) -> Service[Any]:
    """The service as its own `bootstrap` puts it together."""
    values: dict[str, Any] = {
        "environment": "development",
        "database_url": url,
        "database_pool": _POOL,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "jwks_url": identity,
    }
    match name:
        case "booking":
            return booking.bootstrap(BookingSettings(**values), clock)
        case "availability":
            return availability.bootstrap(AvailabilitySettings(**values), clock)
        case "credits":
            return credits_.bootstrap(CreditsSettings(**values), clock)
        case "notifications":
            return notifications.bootstrap(NotificationsSettings(**values), clock, mailer=mail)


class Process:
    """What one process has in memory. A crash throws it away; the next one takes over only the pool of connections, which
    PostgreSQL would have closed, because opening them again takes longer than the rest."""

    def __init__(
        self,
        name: ServiceName,
        url: str,
        identity: str,
        time: VirtualTime,
        log: MemoryLog,
        mail: MailServer,
        number: int,
        connections: Connections | None = None,
    ) -> None:
        self.name = name
        self.clock = SkewedClock(time)
        self.service = service = wire(name, url, identity, self.clock, mail)
        service.health.started = True
        self.database = service.database
        self.database._connections = connections
        settings = service.settings
        processor = Processor(
            self.database,
            service.events,
            service=name,
            guard=DeadLetterLimit(settings.poison_limit, settings.poison_window),
            is_relevant=service.is_relevant,
        )
        topics = sorted({kind.topic.name for kind in service.events})
        self.consumer = Consumer("", name, topics, processor, batch=_BATCH)
        self.kafka = MemoryConsumer(log, name, topics)
        self.relay = Relay(
            self.database, MemoryBatchProducer(log, name), holder=f"{name}-{number}", lease_seconds=_LEASE
        )
        self.deadlines = Deadlines(self.database, service.deadlines)

    async def start(self) -> None:
        if self.database._connections is None:
            await self.database.open()
        self._join()
        self.database.on_publish.append(self.relay._published)
        if self.name == "notifications":
            self.service.dependencies.email_worker._running = True

    def _join(self) -> None:
        self.consumer._kafka = self.kafka
        self.consumer._reader._kafka = self.kafka
        self.consumer._reader.forget()
        self.consumer.assigned()

    @property
    def skew(self) -> timedelta:
        return self.clock.skew

    # Its steps

    async def deliver(self, chance: random.Random | None) -> int:
        """One poll; with `chance`, of a part of what waits. Returns how many records it brought."""
        self.kafka.everything = chance is None
        if chance is not None:
            self.kafka.chance = chance
        most = _BATCH if chance is None else chance.choice((1, 3, 10, _BATCH))
        polled = await self.consumer._reader.poll(timeout_ms=0, max_records=most)
        if polled.records or polled.unreadable:
            await self.consumer._process(polled)
            await self.finish_deliveries()
        return sum(map(len, polled.records.values()))

    async def commit_offsets(self) -> None:
        await self.consumer._commit()

    def lose_partitions(self) -> None:
        """The group is rebalanced while its broker is away: what was not committed comes again, to the same process."""
        self.consumer._offsets.clear()
        self.kafka.positions = {part: self._committed(part) for part in self.kafka.positions}
        self._join()

    def _committed(self, part: Any) -> int:
        return self.kafka._log.committed[self.name].get(part, 0)

    async def send(self, *, reads_table: bool) -> int:
        """A turn of the relay. Returns how many rows the log took."""
        relay = self.relay
        if not relay.leading:
            if not await relay._lease.take():
                return 0
            relay._handed_over.begin()
        relay._looked = asyncio.get_running_loop().time()
        if reads_table:
            relay._handed_over.look = True
        try:
            sent = await relay._turn()
        except BaseException:
            relay._handed_over.look = True
            raise
        finally:
            relay._many.set()
        if relay._sweeping is not None:
            await relay._swept()
            relay._sweeping.result()
        return sent

    async def handle_deadlines(self) -> int:
        handled = await self.deadlines._take()
        await self.finish_deliveries()
        return handled

    async def deliver_mails(self) -> None:
        worker = self.service.dependencies.email_worker
        await worker._take()
        await self.finish_deliveries()

    async def finish_deliveries(self) -> None:
        if self.name == "notifications":
            worker = self.service.dependencies.email_worker
            while worker._in_hand:
                await asyncio.wait(set(worker._in_hand))

    # Its HTTP side

    @cached_property
    def app(self) -> FastAPI:
        assert self.service.app is not None
        return self.service.app(self.service)

    @cached_property
    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://service")
