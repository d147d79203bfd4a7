"""One service: its parts, and the process that runs them in a role (`serve`, `work`, `all`, `migrate`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.health import Health
from makegood_chassis.messaging.handlers import DeadlineHandlers, EventHandlers
from makegood_chassis.settings import ServiceSettings
from makegood_chassis.signals import Signals

S = TypeVar("S", bound=ServiceSettings)


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
    parts: Any = None
    """The service's own parts for its routers (a dataclass of its own)."""
    app: Callable[[Service], FastAPI] | None = None
    workers: Sequence[Callable[[Service], Awaitable[None]]] = field(default_factory=tuple)
    """Further endless tasks of the `work` role, such as sending queued messages; cancelled at stop."""
    health: Health = field(default_factory=Health)
    """Whether the process is started and ready, and why not."""
    on_start: Sequence[Callable[[Service], Awaitable[None]]] = field(default_factory=tuple)
    """Runs once after the database is open, before anything else (seeding)."""


def run(bootstrap: Callable[[S], Service], settings: type[S], argv: Sequence[str] | None = None) -> None:
    """`python -m makegood_<name> serve|work|migrate|all`: reads settings, runs the role until SIGTERM, drains, exits 0.

    Settings that cannot work end the process with exit code 2 and a message that names variable and advice.
    """
    raise NotImplementedError


def base(name: str, settings: ServiceSettings, clock: Clock | None = None) -> tuple[Clock, Database, Signals]:
    """The parts that every bootstrap needs, made from the settings."""
    clock = clock or Clock()
    database = Database(
        settings.database_url, clock, pool_size=settings.database_pool, application_name=f"makegood-{name}"
    )
    return clock, database, Signals(settings.redis_url, name)
