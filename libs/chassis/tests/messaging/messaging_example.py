"""A service of the tests' own on the real chassis: counts sessions' events in a table and answers each with another event.

Its table `effects` shows what was done: one row an event, in the order of handling. Settings of the tests:
EXAMPLE_CRASH=<point>[:<times it is passed before>] kills the process there with SIGKILL. EXAMPLE_PAUSE pauses it there, once,
with SIGSTOP.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.rights import Rights
from makegood_chassis.main import run
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.handlers import Due, EventHandlers
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.revocation import SCHEMA as REVOCATIONS
from makegood_chassis.service import Service, base
from makegood_chassis.settings import ServiceSettings
from makegood_contracts.envelope import Received
from makegood_contracts.events import SessionConfirmed, SessionReserved, SlotReleased
from pydantic import Field, SecretStr

TABLES = """
CREATE TABLE effects (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,
    key text NOT NULL,
    sequence integer NOT NULL
);
"""
POISON = "poison"
"""The `member_id` of an event that the handler cannot take, as long as `mended` is False."""


async def prepare(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA + REVOCATIONS + TABLES)
    await connection.close()


class Handlers:
    """`mended`: poison is taken. `calls` counts handler calls."""

    def __init__(self) -> None:
        self.mended = False
        self.calls: list[int] = []
        self.failing: Exception | None = None

    async def effect(self, received: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        self.calls.append(len(received))
        if self.failing is not None:
            raise self.failing
        if not self.mended and any(one.event.member_id == POISON for one in received):
            raise ValueError("secret-canary")
        await unit.execute(
            "INSERT INTO effects (event_id, key, sequence) SELECT * FROM unnest($1::text[], $2::text[], $3::int[])",
            [one.id for one in received],
            [one.key for one in received],
            [one.sequence for one in received],
        )
        for one in received:
            unit.publish(released(one.event.session_id), sequence=one.sequence, cause=one.cause)

    def table(self) -> EventHandlers:
        return {SessionConfirmed: self.effect, SessionReserved: self.effect}

    async def due(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        await unit.execute(
            "INSERT INTO effects (event_id, key, sequence) SELECT '', unnest($1::text[]), 0",
            [one.entity_id for one in due],
        )


MOMENT = datetime(2030, 1, 1, tzinfo=UTC)


def released(session_id: str) -> SlotReleased:
    return SlotReleased(
        session_id=session_id,
        provider_id="p",
        member_id="m",
        starts_at=MOMENT,
        ends_at=MOMENT,
        cause="lapsed",
        reopened=False,
    )


def session_event(
    session_id: str, version: int = 1, *, member: str = "m", reserved: bool = False
) -> SessionConfirmed | SessionReserved:
    """A confirmation, or a reservation where the test needs two types."""
    fact: dict[str, Any] = {
        "session_id": session_id,
        "room_id": "r",
        "member_id": member,
        "provider_id": "p",
        "starts_at": MOMENT,
        "ends_at": MOMENT,
        "length_minutes": 50,
        "modality": "video",
        "time_zone": "Europe/Berlin",
        "session_version": version,
    }
    if reserved:
        return SessionReserved(**fact, confirm_by=MOMENT)
    return SessionConfirmed(**fact, confirmed_by="provider")


class Settings(ServiceSettings):
    database_url: SecretStr = Field(validation_alias="EXAMPLE_DATABASE_URL")


RIGHTS: Rights = {}


def bootstrap(settings: Settings) -> Service:
    from makegood_chassis.http.app import create_app

    handlers = Handlers()
    clock, database, signals = base("availability", settings)
    return Service(
        "availability", settings, clock, database, signals, handlers.table(), {"example": handlers.due},
        Path(__file__).parent / "migrations", None,
        app=lambda service: create_app(service, title="Example", description="", routers=[], rights=RIGHTS),
    )  # fmt: skip


def signal_at(spec: str, number: signal.Signals) -> None:
    point, _, times = spec.partition(":")
    left = int(times or 0)

    def hook(passed: failpoints.Failpoint) -> None:
        nonlocal left
        if passed == point:
            if left == 0:
                os.kill(os.getpid(), number)
            left -= 1

    failpoints.install(hook)


if __name__ == "__main__":
    if os.environ.get("EXAMPLE_CRASH"):
        signal_at(os.environ["EXAMPLE_CRASH"], signal.SIGKILL)
    if os.environ.get("EXAMPLE_PAUSE"):
        signal_at(os.environ["EXAMPLE_PAUSE"], signal.SIGSTOP)
    run(bootstrap, Settings)
