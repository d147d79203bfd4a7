"""The one place where the availability service is put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.app import create_app
from makegood_chassis.service import Service, base
from makegood_contracts.events import SessionRequested, SessionReserved

from makegood_availability.api import schedules, slots, venues
from makegood_availability.api.rights import RIGHTS
from makegood_availability.domain.holds import ENDINGS
from makegood_availability.handlers.endings import ended, reserved
from makegood_availability.handlers.lapses import LAPSE, lapsed
from makegood_availability.handlers.requests import Requests
from makegood_availability.parts import Parts
from makegood_availability.settings import AvailabilitySettings

NAME = "availability"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(settings: AvailabilitySettings, clock: Clock | None = None) -> Service:
    """Everything wired, nothing started."""
    clock, database, signals = base(NAME, settings, clock)
    parts = Parts(database, clock)
    requests = Requests(parts.schedules, parts.venues)
    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        events={
            SessionRequested: requests.requested,
            SessionReserved: reserved,
            **{event: ended(cause) for event, cause in ENDINGS.items()},
        },
        deadlines={LAPSE: lapsed},
        migrations=MIGRATIONS,
        parts=parts,
        app=app,
    )


def app(service: Service) -> FastAPI:
    """The service's HTTP side."""
    return create_app(
        service,
        title="Availability",
        description="Providers' schedules and time off, the slots they offer, and venues.",
        routers=[schedules.router, slots.router, venues.router],
        rights=RIGHTS,
    )
