"""One service, wired: what its process runs (`main.py`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from fastapi import FastAPI
from makegood_contracts.envelope import EXAMPLE_BASE_URL
from typing_extensions import TypeVar

from makegood_chassis.access.refusals import Refusals
from makegood_chassis.access.writer import AccessWriter
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.grants import CHASSIS, Grants
from makegood_chassis.health import Health
from makegood_chassis.http.context import RequestContext
from makegood_chassis.messaging.handlers import DeadlineHandlers, EventHandlers, IsRelevant
from makegood_chassis.messaging.progress import Report
from makegood_chassis.personal_data.sealing import PersonalData
from makegood_chassis.revocation import Revocations
from makegood_chassis.settings import ServiceSettings
from makegood_chassis.signals import Signals
from makegood_chassis.states.source import StateSource

D = TypeVar("D", covariant=True, default=object)


@dataclass
class Service(Generic[D]):
    """What a service's `bootstrap(settings)` returns: everything wired, nothing started. `D`: its own dependencies."""

    name: str
    settings: ServiceSettings
    clock: Clock
    database: Database
    signals: Signals
    events: EventHandlers
    deadlines: DeadlineHandlers
    migrations: Path
    """Folder of the Alembic scripts."""
    dependencies: D
    """What its handlers and routers share: its own dataclass, or None."""
    grants: Grants = field(default_factory=lambda: CHASSIS)
    """What each login may do with each table. Applied after each migration."""
    is_relevant: IsRelevant = lambda _: True
    """Which of the events that it handles are relevant to it."""
    app: Callable[[Service[D]], FastAPI] | None = None
    workers: Sequence[Callable[[Service[D]], Awaitable[None]]] = field(default_factory=tuple)
    """More endless tasks of the `work` role, such as sending queued messages. They are cancelled at stop."""
    access_retention: float | None = None
    """Seconds that its access log is kept (SEC-5). None for a service without data about people."""
    health: Health = field(default_factory=Health)
    """Whether the process is started and ready, and why not."""
    on_read: Report | None = None
    """Called twice a second with how far this process has read the topics."""
    states: Sequence[StateSource] = ()
    """Where the states of its state topics come from."""
    linger_seconds: float = 0.0
    """Seconds that its events wait, so that more go to the broker in one request. 0 if people wait for them."""
    revocations: Revocations = field(init=False)
    """The tokens that this process refuses before they expire."""
    open_requests: set[RequestContext] = field(default_factory=set)
    """The requests that are being handled or streamed."""
    refusals: Refusals = field(init=False)
    """Logs what was refused to whom."""
    access_writer: AccessWriter = field(init=False)
    """Logs what is shown to whom."""
    pruner: Database = field(init=False)
    """The same database with the login that may delete expired rows, or `database` if there is none."""

    @property
    def audited(self) -> bool:
        """Whether it keeps an access log."""
        return self.access_retention is not None

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.database)
        self.access_writer = AccessWriter(self.database)
        self.revocations = Revocations(self.settings.token_max_lifetime)
        url = self.settings.pruner_database_url.get_secret_value()
        name, limited = f"makegood-{self.name}-pruner", self.settings.limited("pruner_database_url")
        pruner = Database(
            url, self.clock, pool_size=2, application_name=name, limited=limited, pooler=self.settings.pooler
        )
        self.pruner = pruner if url else self.database


def base(name: str, settings: ServiceSettings, clock: Clock | None = None) -> tuple[Clock, Database, Signals]:
    """What every bootstrap needs: clock, database and signals, made from the settings."""
    clock = clock or Clock()
    database = Database(
        settings.database_url.get_secret_value(),
        clock,
        pool_size=settings.database_pool,
        application_name=f"makegood-{name}",
        personal_data=PersonalData.of(settings.master_keys),
        limited=settings.limited("database_url"),
        base_url=settings.public_base_url.rstrip("/") or EXAMPLE_BASE_URL,
        pooler=settings.pooler,
    )
    return clock, database, Signals(settings.redis_url.get_secret_value(), name, ca_file=settings.redis_ca_file)
