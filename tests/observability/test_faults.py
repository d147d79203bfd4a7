"""Each alert is raised by its own fault within a minute, on a real platform watched by a real Prometheus.

Times are shortened: a minute of a rule is three seconds here, and three limits that are times are lower. The tests of this
file belong together and run in their order: each goes on with the platform of the one before it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import ProviderMissed
from makegood_contracts.ids import new_id
from makegood_devtools.client import Person, Refused
from makegood_observability.alert import as_yaml, rule_groups
from makegood_observability.alerts import ALERTS
from makegood_stack.ports import LISTEN, free_ports
from makegood_testkit.fault_injection import in_database, locked, starve
from makegood_testkit.fault_proxy import FaultProxy
from makegood_testkit.forging import write
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.prometheus import Prometheus, hastened, targets
from makegood_testkit.waiting import eventually
from makegood_testkit.weather import Weather

pytestmark = [pytest.mark.extended, pytest.mark.usefixtures("prometheus_installed")]

_A_MINUTE = 3.0
"""How long a minute of a rule lasts here, in seconds."""
_LIMITS = {"OutboxOld": 5.0, "DeadlinesLate": 5.0, "KeysOld": 40.0}
"""Limits that are times, in seconds. The keys of events are fetched every 30 seconds."""
_MEASURED = ("OutboxOld", "DeadlinesLate")
_SOON = 60.0
"""Seconds in which a fault raises its alerts, on a machine that is not busy."""
_NOT_INJECTED = {"MessagesFailing"}
"""The development mail server takes every message; test_rules.py has this alert."""


def _rules() -> str:
    document = rule_groups(
        {"all": [replace(alert, above=_LIMITS.get(alert.name, alert.above)) for alert in ALERTS]}, "run-books"
    )
    for alert, rule in zip(ALERTS, document["groups"][0]["rules"], strict=True):
        rule["expr"] = hastened(rule["expr"], _A_MINUTE)
        rule["for"] = f"{int(alert.minutes * _A_MINUTE)}s"
    return as_yaml(document)


@dataclass
class Watched:
    """A platform, what watches it, and the proxies before the mail server and the published keys."""

    platform: Platform
    prometheus: Prometheus
    smtp: FaultProxy
    web: FaultProxy
    cast: Cast
    raised: set[str] = field(default_factory=set)

    def firing(self) -> set[str]:
        return {name.removeprefix("Makegood") for name in self.prometheus.alerts()}

    def _overdue(self) -> set[str]:
        """The alerts whose time is above its limit: what an earlier fault held up, and what processes measured last. They
        measure every five seconds."""
        signals = {alert.name: alert.signal for alert in ALERTS if alert.name in _MEASURED}
        limits = {name: f"{signal} > {_LIMITS[name]}" for name, signal in signals.items()}
        return {name for name, query in limits.items() if self.prometheus.query(query)}

    def _signals(self, names: set[str]) -> dict[str, object]:
        """What the alerts look at, for whoever wonders why they did not fire."""
        found = {alert.name: alert.signal for alert in ALERTS if alert.name in names}
        return {name: self.prometheus.query(hastened(signal, _A_MINUTE)) for name, signal in found.items() if signal}

    @asynccontextmanager
    async def faults(self, *alerts: str, because_of_them: set[str]) -> AsyncIterator[AsyncExitStack]:
        """The body injects faults, and pushes how they end. They raise exactly these alerts, each within a minute of a quiet
        machine.

        `because_of_them`: others that follow, and need not.
        """
        wanted = set(alerts)
        await eventually(lambda: not wanted & self.firing(), seconds=300, what=f"an end of {wanted}")
        await eventually(
            lambda: not self._overdue() - because_of_them, seconds=300, what="nothing that waits from before"
        )
        allowed = wanted | because_of_them | self.firing()  # what was raised before may take a while to end
        async with AsyncExitStack() as stack:
            weather = stack.enter_context(Weather())
            begun = time.monotonic()
            yield stack
            injected = time.monotonic()
            seen: set[str] = set()
            while not wanted <= seen and time.monotonic() < injected + _SOON * weather.stretch(begun):
                await asyncio.sleep(0.2)
                seen |= self.firing()
            assert wanted - seen == set(), self._signals(wanted - seen)
            assert seen - allowed == set(), self.prometheus.alerts()
            self.raised |= wanted


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """A platform on servers of its own, with some traffic."""
    folder: Path = tmp_path_factory.mktemp("watched")
    smtp, web, nobody = free_ports(3)
    environment = {
        "SMTP_PORT": str(smtp),
        "JWKS_URL": f"http://{LISTEN}:{web}/.well-known/jwks.json",
        "EVENT_KEYS_URL": f"http://{LISTEN}:{web}/.well-known/event-keys.json",
        "JWKS_REFRESH": "2",
        "PAYMENT_PROVIDER": "stripe",
        "STRIPE_SECRET_KEY": "sk_test_none",
        "STRIPE_WEBHOOK_SECRET": "whsec_none",
        "STRIPE_API_BASE": f"http://{LISTEN}:{nobody}",
        "POISON_LIMIT": "5",
        "POISON_WINDOW": "10",
        "STREAMS_AT_ONCE": "2",
    }
    platform = Platform.at(folder, environment)
    ports = platform.stack.ports
    async with AsyncExitStack() as stack:
        mail = stack.enter_context(FaultProxy(ports.of("smtp"), smtp))
        keys = stack.enter_context(FaultProxy(ports.of("mail"), web))
        stack.push_async_callback(asyncio.to_thread, platform.down)
        await asyncio.to_thread(platform.up)
        stack.push_async_callback(platform.close)
        cast = await platform.cast()
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", targets(platform), [_rules()]))
        await stack.enter_async_context(_meanwhile(partial(_read, cast), every=0.2))
        watched = Watched(platform, prometheus, mail, keys, cast)
        missed = await cast.confirmed()
        await _pass(cast, missed)
        await cast.settled(missed, "provider_missed", "returned")
        yield watched


@asynccontextmanager
async def _meanwhile(work: Callable[[], Awaitable[object]], *, every: float) -> AsyncIterator[None]:
    """Repeats the work in the background. Its failures are what the test is about."""

    async def run() -> None:
        while True:
            with suppress(httpx.HTTPError, Refused):
                await work()
            await asyncio.sleep(every)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _read(cast: Cast) -> None:
    """Reads something of each service."""
    paths = (
        "/v1/sessions",
        f"/v1/members/{cast.member.subject}/credits",
        f"/v1/providers/{cast.provider.subject}/schedule",
        f"/v1/people/{cast.member.subject}/contact",
    )
    await asyncio.gather(*(cast.member.send("GET", path) for path in paths))


async def _pass(cast: Cast, session: dict[str, object]) -> None:
    """Lets the session begin without its provider."""
    start = datetime.fromisoformat(str(session["starts_at"])) + timedelta(minutes=10)
    services = ("booking", "availability", "credits", "notifications")
    await cast.platform.clock.move(services, max(start, await cast.platform.now()))


def _failing(table: str, when: str) -> tuple[str, str]:
    """Statements that make a table refuse changes, as after a migration that went wrong."""
    function = (
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$"
    )
    return function, f"CREATE TRIGGER fails BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"


def _forged(cast: Cast) -> Record:
    """An event about a session that nobody has signed."""
    start = datetime.now(UTC)
    event = ProviderMissed(
        session_id=new_id(),
        room_id=cast.room_id,
        member_id=cast.member.subject,
        provider_id=cast.provider.subject,
        starts_at=start,
        ends_at=start + timedelta(minutes=30),
        length_minutes=30,
        modality="video",
        time_zone="UTC",
        session_version=9,
        absent_party="provider",
        missed_at=start + timedelta(minutes=10),
        grace_minutes=10,
    )
    return encode(event, sequence=9, cause=Cause(new_id(), new_id()))


async def test_what_lies_around_the_services(watched: Watched) -> None:
    """The mail server, the payment provider and the keys are away; somebody tries tokens and opens many streams."""
    cast, platform = watched.cast, watched.platform
    alerts = ("MessagesNotHandedOver", "KeysOld", "PaymentProviderFailing", "TokensTried")
    others = {"RequestsFailing", "GatewayFailing"}  # whoever wants to pay gets 503, and so does a third stream
    async with watched.faults(*alerts, "ProcessAtItsLimit", because_of_them=others) as stack:
        watched.web.begin("gone")
        stack.callback(watched.web.heal)
        watched.smtp.begin("gone")
        stack.callback(watched.smtp.heal)
        await cast.confirmed()
        buying = partial(cast.member.post, "/v1/purchases", {"quantity": 1})
        await stack.enter_async_context(_meanwhile(buying, every=1))
        await stack.enter_async_context(_meanwhile(partial(_bad_token, platform), every=0.05))
        for number in range(3):
            person = platform.person("member", f"listener-{number}")
            await stack.enter_async_context(_meanwhile(partial(_listen, person), every=0.5))


async def _bad_token(platform: Platform) -> None:
    transport = httpx.AsyncHTTPTransport(local_address="127.9.9.9")  # so that the traffic has its own limit
    async with httpx.AsyncClient(transport=transport, base_url=platform.stack.base_url) as client:
        await client.get("/v1/sessions", headers={"Authorization": "Bearer not.a.token"})


async def _listen(person: Person) -> None:
    headers = {"Authorization": f"Bearer {person.token}"}
    async with person.http.stream("GET", "/v1/stream", headers=headers, timeout=60) as response:
        async for _ in response.aiter_bytes():
            pass


async def test_what_goes_wrong_inside_the_services(watched: Watched) -> None:
    """Tables refuse changes, a relay has lost its lease, one process has hardly any processor time; somebody forges an event."""
    platform = watched.platform
    cast = await platform.cast()
    overdue = await cast.confirmed()
    alerts = (
        *("DeadLetters", "ConsumerStopped", "DeadlinesFailing", "EventsRefused"),
        *("NoRelayLeader", "OutboxOld", "EventLoopBusy"),
    )
    others = {
        "ConsumerStuck",
        "BookingsUndecided",
        "NotMadeGood",
        "AnswersSlow",
        "NoProcessForRequests",
        "PartRestarting",
        "ProcessDown",
        "RequestsFailing",
        "GatewayFailing",
    }
    steal = "UPDATE leases SET holder = 'nobody', fence = fence + 1, expires_at = now() + interval '1 hour'"
    async with watched.faults(*alerts, because_of_them=others) as stack:
        await in_database(platform, "booking", *_failing("sessions", "UPDATE"))
        stack.push_async_callback(in_database, platform, "booking", "DROP TRIGGER fails ON sessions")
        await in_database(platform, "notifications", *_failing("rooms", "INSERT"))
        stack.push_async_callback(in_database, platform, "notifications", "DROP TRIGGER fails ON rooms")
        await in_database(platform, "credits", f"{steal} WHERE name = 'relay'")
        stack.push_async_callback(in_database, platform, "credits", "UPDATE leases SET expires_at = now()")
        await stack.enter_async_context(_meanwhile(partial(_starve, platform), every=0))
        await write(platform, _forged(cast))
        await _pass(cast, overdue)
        for number in range(8):
            people = {"member_id": f"new-{number}", "provider_id": cast.provider.subject}
            await cast.support.post("/v1/rooms", people)
        enrolment = {"plan_id": "out-of-pocket-4", "starts_on": (await platform.now()).date().isoformat()}
        await cast.support.put("/v1/members/waiting/enrolment", enrolment)


async def _starve(platform: Platform) -> None:
    await starve(platform.pid("availability"), stopped=0.7, running=0.15)


async def test_locks_that_stay(watched: Watched) -> None:
    """Forgotten transactions hold locks: consumers wait, and so do deadlines and requests."""
    platform = watched.platform
    cast = await platform.cast()
    missed = await cast.confirmed()
    alerts = (
        *("ConsumerStuck", "ConsumerLagging", "BookingsUndecided", "NotMadeGood", "DeadlinesLate"),
        *("AnswersSlow", "DatabasePoolExhausted", "RequestsFailing", "GatewayFailing"),
    )
    others = {
        "EventsRefused",
        "DeadlinesFailing",
        "DatabaseUnreachable",
        "NoProcessForRequests",
        "DeadLetters",
        "OutboxOld",
        "PartRestarting",
    }
    readers = [platform.person("member", f"reader-{number}") for number in range(40)]
    async with watched.faults(*alerts, because_of_them=others) as stack:
        await stack.enter_async_context(locked(platform, "credits", "inbox"))
        soon = await platform.now() + timedelta(seconds=4)
        due = f"INSERT INTO deadlines (kind, entity_id, due_at) VALUES ('hold-lapse', 'nothing', '{soon.isoformat()}')"
        gone = "DELETE FROM deadlines WHERE entity_id = 'nothing'"  # it has no hold, so it fails once the lock is gone
        stack.push_async_callback(in_database, platform, "availability", gone)
        await in_database(platform, "availability", due)
        await stack.enter_async_context(locked(platform, "availability", "deadlines", "EXCLUSIVE"))
        await _pass(cast, missed)
        start = await cast.start_in(timedelta(days=3))
        await cast.member.post("/v1/sessions", cast.booking_body(start))
        forged = _forged(cast)
        await write(platform, *[forged] * 4000)
        await stack.enter_async_context(
            _meanwhile(partial(_lock_for, platform, "notifications", "people", 12), every=1)
        )
        for reader in readers:
            path = f"/v1/people/{reader.subject}/contact"
            await stack.enter_async_context(_meanwhile(partial(reader.send, "GET", path), every=0.2))


async def _lock_for(platform: Platform, service: str, table: str, seconds: float) -> None:
    async with locked(platform, service, table):
        await asyncio.sleep(seconds)


async def test_kafka_is_away(watched: Watched) -> None:
    others = {"OutboxOld", "BookingsUndecided", "NotMadeGood", "ConsumerStuck", "NoProcessForRequests"}
    others |= {"DeadlinesFailing", "EventsRefused"}  # of what the locks of the test before held up
    async with watched.faults("KafkaUnreachable", because_of_them=others):
        os.kill(watched.platform.pid("kafka"), signal.SIGKILL)
    await asyncio.to_thread(watched.platform.up)


async def test_postgresql_is_away(watched: Watched) -> None:
    others = {
        "RequestsFailing",
        "GatewayFailing",
        "NoProcessForRequests",
        "NoRelayLeader",
        "ConsumerStuck",
        "AnswersSlow",
    }
    others |= {
        "BookingsUndecided",
        "NotMadeGood",
        "DatabasePoolExhausted",
        "PartRestarting",
        "OutboxOld",
        "DeadlinesLate",
    }
    async with watched.faults("DatabaseUnreachable", because_of_them=others):
        os.kill(watched.platform.pid("postgresql"), signal.SIGKILL)
    await asyncio.to_thread(watched.platform.up)


async def test_processes_die_and_come_back_without_keys(watched: Watched) -> None:
    """A process is killed, and started again while the keys of events cannot be fetched. A part of another one fails."""
    platform = watched.platform
    others = {"RequestsFailing", "GatewayFailing", "AnswersSlow", "BookingsUndecided", "KeysOld", "NotMadeGood"}
    async with watched.faults("ProcessDown", "NoProcessForRequests", "PartRestarting", because_of_them=others):
        os.kill(platform.pid("availability"), signal.SIGKILL)
        await in_database(platform, "credits", "ALTER TABLE processes RENAME TO renamed")
    await in_database(platform, "credits", "ALTER TABLE renamed RENAME TO processes")
    others |= {"ProcessDown", "NoProcessForRequests", "NoRelayLeader", "ConsumerStuck"}
    async with watched.faults("EventKeysUnusable", because_of_them=others) as stack:
        watched.web.begin("gone")
        coming = asyncio.create_task(asyncio.to_thread(platform.up))
        stack.push_async_callback(asyncio.wait_for, coming, 100)
        stack.callback(watched.web.heal)
    async with watched.faults("ServiceMissing", because_of_them=others | {"PartRestarting"}):
        watched.prometheus.forget("notifications")


async def test_every_alert_was_raised_and_all_are_over(watched: Watched) -> None:
    assert {alert.name for alert in ALERTS} - watched.raised == _NOT_INJECTED
    await eventually(lambda: watched.firing() <= {"ServiceMissing"}, seconds=200, what="quiet")
