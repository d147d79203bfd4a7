"""One service: its parts, and the process that runs them in a role (`serve`, `work`, `all`, `migrate`)."""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import structlog
import uvloop
from fastapi import FastAPI
from makegood_contracts.envelope import EXAMPLE_BASE_URL
from pydantic import ValidationError

from makegood_chassis import observe
from makegood_chassis.access.refusals import Refusals
from makegood_chassis.checked_settings import advice
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.grants import CHASSIS, Grants, Logins
from makegood_chassis.health import Health
from makegood_chassis.http.context import RequestContext
from makegood_chassis.limited_logins import UnlimitedLogin
from makegood_chassis.messaging.handlers import Concerns, DeadlineHandlers, EventHandlers
from makegood_chassis.messaging.progress import Report
from makegood_chassis.personal_data.sealing import PersonalData
from makegood_chassis.revocation import Revocations
from makegood_chassis.settings import ROLE, ServiceSettings
from makegood_chassis.signals import Signals

S = TypeVar("S", bound=ServiceSettings)

ROLES: Final = ("serve", "work", "all", "migrate")


@dataclass
class Service:
    """What `bootstrap(settings)` of a service answers: everything wired, nothing started."""

    name: str
    settings: ServiceSettings
    clock: Clock
    database: Database
    signals: Signals
    events: EventHandlers
    deadlines: DeadlineHandlers
    migrations: Path
    """Folder of the Alembic scripts."""
    grants: Grants = field(default_factory=lambda: CHASSIS)
    """What the logins may do with each table; in force after each migration."""
    concerns: Concerns = lambda _: True
    """Of the events that it handles, those with which it has anything to do."""
    parts: Any = None
    """The service's own parts for its routers (a dataclass of its own)."""
    app: Callable[[Service], FastAPI] | None = None
    workers: Sequence[Callable[[Service], Awaitable[None]]] = field(default_factory=tuple)
    """Further endless tasks of the `work` role, such as sending queued messages; cancelled at stop."""
    audited: bool = False
    """Whether it holds anything about people, and so keeps an access log (SEC-5)."""
    health: Health = field(default_factory=Health)
    """Whether the process is started and ready, and why not."""
    on_read: Report | None = None
    """Is told twice a second how far this process has read the topics."""
    gather: float = 0.0
    """Seconds that its events wait to go with one request; 0 unless nobody waits for them."""
    revocations: Revocations = field(init=False)
    """Whose tokens this process refuses before their end."""
    open_requests: set[RequestContext] = field(default_factory=set)
    """What is being handled or streamed right now."""
    on_start: Sequence[Callable[[Service], Awaitable[None]]] = field(default_factory=tuple)
    """Runs once after the database is open, before anything else (seeding)."""
    refusals: Refusals = field(init=False)
    """Writes down what was refused to whom."""
    pruner: Database = field(init=False)
    """The same database with the login that may delete what was kept long enough; `database` where there is none."""

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.database)
        self.revocations = Revocations(self.settings.token_max_lifetime)
        url = self.settings.pruner_database_url.get_secret_value()
        name, limited = f"makegood-{self.name}-pruner", self.settings.limited("pruner_database_url")
        pruner = Database(url, self.clock, pool_size=2, application_name=name, limited=limited)
        self.pruner = pruner if url else self.database


def run(bootstrap: Callable[[S], Service], settings: type[S], argv: Sequence[str] | None = None) -> None:
    """`python -m makegood_<name> serve|work|migrate|all`: reads settings, runs the role until SIGTERM, drains, exits 0.

    Settings that cannot work end the process with exit code 2 and a message that names variable and advice. So do, in
    production, logins that stand above the walls of the database.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) != 1 or words[0] not in ROLES:
        _refuse(f"say one of the roles: {', '.join(ROLES)}")
    role = words[0]
    ROLE.set(role)
    try:
        values = settings()
    except ValidationError as error:
        _refuse(advice(settings, error))
    try:
        _run(bootstrap(values), role)
    except UnlimitedLogin as error:
        _refuse(str(error))
    except Exception:
        # As Python would write it, but for secrets: errors of libraries quote addresses.
        sys.stderr.write(values.without_secrets(traceback.format_exc()))
        sys.exit(1)


def _run(service: Service, role: str) -> None:
    values = service.settings
    observe.configure_logs(service.name, values.log_level)
    if role == "migrate" or values.migrate:
        _migrate(service)
    if role == "migrate":
        return
    from makegood_chassis.runtime import Runtime

    observe.configure_traces(service.name, values.otlp_endpoint)
    runtime = Runtime(service, role)
    # What was imported and wired lives as long as the process: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    uvloop.run(runtime.run())


def _migrate(service: Service) -> None:
    """Brings the database up to date, or ends the process with exit code 1 and the reason as its last words."""
    from makegood_chassis.migrations import migrate

    settings = service.settings
    try:
        own, owner, pruner = (
            url.get_secret_value()
            for url in (settings.database_url, settings.owner_database_url, settings.pruner_database_url)
        )
        logins = Logins.of(own, pruner or own) if owner or pruner else None
        asyncio.run(migrate(owner or own, service.migrations, service.grants, logins, development=settings.development))
    except OSError as error:
        structlog.get_logger(__name__).error("the database cannot be reached", error=type(error).__name__)
        sys.exit(1)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        told = f"{traceback.format_exc()}the migrations of {service.name} failed: {type(error).__name__}: {reason}\n"
        sys.stderr.write(service.settings.without_secrets(told))
        sys.exit(1)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(2)


def base(name: str, settings: ServiceSettings, clock: Clock | None = None) -> tuple[Clock, Database, Signals]:
    """The parts that every bootstrap needs, made from the settings."""
    clock = clock or Clock()
    database = Database(
        settings.database_url.get_secret_value(),
        clock,
        pool_size=settings.database_pool,
        application_name=f"makegood-{name}",
        personal_data=PersonalData.of(settings.master_keys),
        limited=settings.limited("database_url"),
        base_url=settings.public_base_url.rstrip("/") or EXAMPLE_BASE_URL,
    )
    return clock, database, Signals(settings.redis_url.get_secret_value(), name, ca_file=settings.redis_ca_file)
