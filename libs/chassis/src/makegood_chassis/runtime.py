"""The process of a service: HTTP, consumer, relay, deadlines and workers in one event loop, from start to SIGTERM.

It starts without its servers and waits for them; readiness says what is missing. At SIGTERM it stops accepting requests and
events, finishes what it has, and sends what is in the outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from makegood_chassis import observe
from makegood_chassis.access import sealer
from makegood_chassis.access.pruning import keep_pruned
from makegood_chassis.auth import Authenticator
from makegood_chassis.components import supervise
from makegood_chassis.connections import Connections
from makegood_chassis.database import Database
from makegood_chassis.database_link import UnusableDatabase
from makegood_chassis.ending import end
from makegood_chassis.http.app import health_app
from makegood_chassis.http.revoked import follow_revocations
from makegood_chassis.http.server_config import server_config
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.deadlines import Deadlines
from makegood_chassis.messaging.event_counts import count_events
from makegood_chassis.messaging.event_keys import EventKeys
from makegood_chassis.messaging.failures import Stopped, until_it_passes
from makegood_chassis.messaging.maintenance import Maintenance, measure
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.progress import Progress
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.messaging.signatures import Signer
from makegood_chassis.messaging.verification import Verifier
from makegood_chassis.messaging.wake import OutboxWake
from makegood_chassis.readiness import watch_database, watch_kafka
from makegood_chassis.server_probes import DatabaseProbe, KafkaProbe
from makegood_chassis.service import Service
from makegood_chassis.states.publisher import publisher_of

_LEAVE_TRAFFIC: Final = 1.5
"""Seconds for the gateway to notice that this process is stopping: it looks at `/readyz` once a second. Until then it sends requests
on the connections that it has, which are lost if they are closed. Without open connections nothing can be lost."""
_FINISH_REQUESTS: Final = 2.0
_CLOCK_PATIENCE: Final = 10.0
"""Seconds within which all services' development clocks are moved, one after the other."""
_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """The HTTP server, without signal handlers of its own. Until `end` it sleeps: uvicorn's wakes ten times a second, for a
    `Date` header that is not sent here."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self, *, at_once: bool = False) -> None:
        """Takes no new connections and answers what it has; `at_once`: nor does it wait for that."""
        self.should_exit, self.force_exit = True, at_once
        self._ending.set()

    async def left(self, seconds: float) -> None:
        """Returns when nobody has a connection any more, or after so many seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.server_state.connections and loop.time() < end:  # noqa: ASYNC110 - uvicorn has a plain set
            await asyncio.sleep(0.05)

    async def main_loop(self) -> None:
        await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Runtime:
    """`run()` ends after SIGTERM or SIGINT, within the setting `stop_timeout`. It raises UnusableDatabase."""

    def __init__(self, service: Service, role: str) -> None:
        self._service = service
        self._role = role
        self._settings = service.settings
        self._serves = role in ("serve", "all")
        self._works = role in ("work", "all")
        self.process = f"{service.name}-{role}-{socket.gethostname()}-{os.getpid()}"
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._authenticator: Authenticator | None = None
        self._server = self._make_server()
        self._probes = self._serve_on(health_app(service), self._settings.probes_at)
        self._wake: OutboxWake | None = None
        self._relay: Relay | None = None
        self._consumer: Consumer | None = None
        self._deadlines: Deadlines | None = None
        self._relay_database: Database | None = None
        self._pools: list[Connections] = []
        self._maintenance: Maintenance | None = None
        url = self._settings.event_keys_url
        self._event_keys = EventKeys(url, self._settings.jwks_ca_file) if url and self._works else None

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        health = self._service.health
        health.expect("database")
        probing = asyncio.create_task(self._probes.serve())
        serving = asyncio.create_task(self._server.serve()) if self._server else probing
        for task in {probing, serving}:
            task.add_done_callback(lambda _: self.stop())
        starting = asyncio.create_task(self._start())
        starting.add_done_callback(self._started)
        await self._stop.wait()
        health.drain()
        _log.info("stopping")
        starting.cancel()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                await self._drain(serving)
        except TimeoutError:
            _log.warning("stopped with work unfinished")
        await self._stop_probes(probing)
        await end((*self._tasks.values(), serving, starting))
        _log.info("stopped")
        if not starting.cancelled() and isinstance(error := starting.exception(), UnusableDatabase):
            raise error
        if any(not task.cancelled() and task.exception() is not None for task in (serving, probing)):
            raise SystemExit(1)

    async def _stop_probes(self, probing: asyncio.Task[None]) -> None:
        """Stopped last, so that probes can see that this process is draining."""
        self._probes.end(at_once=True)
        await asyncio.wait({probing}, timeout=_FINISH_REQUESTS)
        probing.cancel()

    def _make_server(self) -> _Server | None:
        """The server of requests. None in a process that serves none."""
        if not (self._serves and self._service.app):
            return None
        app = self._service.app(self._service)
        self._authenticator = getattr(app.state, "authenticator", None)
        return self._serve_on(app, self._settings.http_port)

    def _serve_on(self, app: FastAPI, port: int) -> _Server:
        return _Server(server_config(app, self._settings.http_host, port))

    def _started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, UnusableDatabase):
                self.stop()
            _log.error("cannot start", error=type(error).__name__, frames=observe.frames(error))
            self._service.health.set_unhealthy("process", f"cannot start: {type(error).__name__}")

    async def _start(self) -> None:
        service, settings, health = self._service, self._settings, self._service.health
        count_events(service.database, service.name)
        port = settings.http_port if self._server else None
        _log.info("starting", role=self._role, port=port, probe_port=settings.probes_at)
        await service.signals.open()
        with suppress(Stopped):
            await self._open(service.database)
            if self._authenticator is not None:
                await self._when_reachable(partial(service.revocations.load, service.database))
        if self._stop.is_set():
            return
        health.set_healthy("database")
        if self._authenticator is not None:
            self._component("keys", self._authenticator.keys.run)
            self._component("revocations", partial(follow_revocations, service, self._authenticator))
        self._component("maintenance", self._run_maintenance)
        self._component("measures", partial(measure, service.database))
        probe = DatabaseProbe(settings.database_url.get_secret_value(), f"makegood-{service.name}-watch")
        with suppress(Exception):  # the first of many times
            await probe.ask()
        self._component("watch", partial(watch_database, health, probe, self._pools))
        if self._works:
            health.expect("consumer", "relay", "kafka")
            self._component("watch-kafka", partial(watch_kafka, health, KafkaProbe(settings.kafka, self.process)))
            if self._event_keys is not None:
                self._component("event-keys", self._event_keys.run)
            await self._start_work()
        else:
            self._wake = OutboxWake(service.database.direct_url, listen=False)
            service.database.on_publish.append(self._wake.published)
            self._component("wake", self._wake.run)
        health.started = True
        _log.info("started", role=self._role)

    async def _start_work(self) -> None:
        service, settings = self._service, self._settings
        url, name = settings.database_url.get_secret_value(), f"makegood-{service.name}-relay"
        self._relay_database = Database(url, service.clock, pool_size=3, application_name=name, pooler=settings.pooler)
        with suppress(Stopped):
            await self._open(self._relay_database)
            if service.pruner is not service.database:
                await self._open(service.pruner)
        self._component("relay", self._run_relay)
        if service.events:
            self._component("consumer", self._run_consumer)
        else:
            service.health.set_healthy("consumer")
        if service.deadlines:
            self._component("deadlines", self._run_deadlines)
        if service.access_retention is not None:
            self._component("sealer", partial(sealer.keep_sealed, service))
            self._component("access-pruning", partial(keep_pruned, service, service.access_retention))
        for worker in service.workers:
            name = getattr(worker, "__name__", "worker")
            self._component(name, partial(worker, service))

    async def _open(self, database: Database) -> None:
        await self._when_reachable(database.open)
        self._pools.append(database.connections)

    async def _when_reachable(self, operation: Callable[[], Awaitable[None]]) -> None:
        def failed(error: BaseException, attempts: int) -> None:
            self._service.health.set_unhealthy("database", f"cannot be reached: {type(error).__name__}")

        await until_it_passes(operation, given_up=self._stop.is_set, failed=failed, longest=1.0)

    def _component(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        self._tasks[name] = asyncio.create_task(supervise(name, body, self._service.health, self._stop), name=name)

    async def _run_relay(self) -> None:
        settings = self._settings
        assert self._relay_database is not None
        try:
            signer = await self._published_signer()
        except Stopped:
            return
        sender = BatchProducer(
            settings.kafka, prefix=settings.kafka_topic_prefix, client_id=self.process, signer=signer
        )
        self._relay = relay = Relay(
            self._relay_database,
            sender,
            watch=self._service.database,
            holder=self.process,
            batch=settings.relay_batch,
            linger_seconds=self._service.linger_seconds,
            health=self._service.health,
            states=publisher_of(self._service, self._relay_database, self.process, signer),
        )
        waking = asyncio.create_task(relay.wake.run())
        try:
            await relay.run()
        finally:
            waking.cancel()

    async def _published_signer(self) -> Signer | None:
        """Signs this service's events. Waits until its key is published, as consumers would refuse them before. Raises Stopped."""
        pem = self._settings.event_signing_key.get_secret_value()
        if not pem or self._event_keys is None:
            return None
        signer = Signer.of(pem)
        while (key := self._event_keys.get(signer.kid)) is None or key.service != self._service.name:
            told = (
                "cannot be fetched"
                if not self._event_keys.fresh
                else f"do not include {signer.kid} of {self._service.name}"
            )
            self._service.health.set_unhealthy(
                "event-keys", f"EVENT_KEYS_URL: the keys {told}; no events are sent until this is fixed"
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._stop.wait()
                    raise Stopped
        self._service.health.set_healthy("event-keys")
        return signer

    async def _run_consumer(self) -> None:
        service, settings = self._service, self._settings
        prefix = settings.kafka_topic_prefix
        processor = Processor(
            service.database,
            service.events,
            service=service.name,
            guard=DeadLetterLimit(settings.poison_limit, settings.poison_window),
            prefix=prefix,
            is_relevant=service.is_relevant,
            verifier=None if self._event_keys is None else Verifier(self._event_keys),
            clock_patience=_CLOCK_PATIENCE if settings.development else 0.0,
        )
        self._consumer = Consumer(
            settings.kafka,
            prefix + service.name,
            {prefix + kind.topic.name for kind in service.events},
            processor,
            batch=settings.consumer_batch,
            cool_down=settings.poison_window,
            client_id=self.process,
            health=service.health,
            progress=None if service.on_read is None else Progress(service.on_read, prefix),
        )
        await self._consumer.run()

    async def _run_deadlines(self) -> None:
        self._deadlines = Deadlines(self._service.database, self._service.deadlines, health=self._service.health)
        await self._deadlines.run()

    async def _run_maintenance(self) -> None:
        settings = self._settings
        self._maintenance = Maintenance(
            self._service.database,
            process=self.process,
            role=self._role,
            development=settings.development,
            inbox_retention=timedelta(seconds=settings.inbox_retention),
            pruner=self._service.pruner if self._works else None,
        )
        await self._maintenance.run()

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Stops requests first, because they may need the consumer, then events and deadlines, and last the relay, with
        what they published.
        """
        if self._server is not None:
            await self._server.left(_LEAVE_TRAFFIC)
            self._server.end()
            await asyncio.wait({serving}, timeout=_FINISH_REQUESTS)
            self._service.signals.end_waits()
            await asyncio.wait({serving}, timeout=_FINISH_REQUESTS)
        for part in (self._consumer, self._deadlines):
            if part is not None:
                part.stop()
        for name in ("consumer", "deadlines"):
            if name in self._tasks:
                await asyncio.wait({self._tasks[name]})
        if self._service.audited:
            with suppress(Exception):
                await self._service.refusals.flush()
                if self._works:
                    await sealer.drain(self._service)
        if self._relay is not None:
            self._relay.stop()
            await asyncio.wait({self._tasks["relay"]})
        if self._wake is not None:
            await asyncio.sleep(0.02)
        await end(self._tasks.values())
        if self._maintenance is not None:
            with suppress(Exception):
                await self._maintenance.leave()
        await self._service.signals.close()
        if self._relay_database is not None:
            await self._relay_database.close()
        with suppress(Exception):
            await self._service.pruner.close()
        with suppress(Exception):
            await self._service.database.close()
