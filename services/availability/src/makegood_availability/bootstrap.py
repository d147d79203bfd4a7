"""The one place where the availability service is put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.messaging.handlers import bind
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.service import Service, base

from makegood_availability.api import schedules, slots, venues, waitlist
from makegood_availability.api.enums import ENUMS
from makegood_availability.api.refusals import problem_of
from makegood_availability.api.rights import EXPENSIVE, RIGHTS
from makegood_availability.dependencies import Dependencies
from makegood_availability.handlers.routing import DEADLINES, EVENTS
from makegood_availability.handlers.venues import keep_published
from makegood_availability.settings import AvailabilitySettings
from makegood_availability.store.grants import GRANTS
from makegood_availability.store.schedules import seal_notes
from makegood_availability.store.states import STATES

NAME = "availability"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(settings: AvailabilitySettings, clock: Clock | None = None) -> Service[Dependencies]:
    """Wires everything and starts nothing."""
    clock, database, signals = base(NAME, settings, clock)
    dependencies = Dependencies(database=database, clock=clock)
    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        dependencies=dependencies,
        events=bind(EVENTS, dependencies),
        deadlines=bind(DEADLINES, dependencies),
        app=app,
        migrations=MIGRATIONS,
        grants=GRANTS,
        states=STATES,
        access_retention=settings.access_retention,
        workers=(keep_sealed(seal_notes), keep_published),
    )


def app(service: Service[Dependencies]) -> FastAPI:
    """The service's HTTP side."""
    return create_app(
        service,
        title="Availability",
        description="Providers' schedules and time off, the slots they offer, the waitlist, and venues.",
        routers=[schedules.router, slots.router, venues.router, waitlist.router, access_rows(service)],
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
        problem_of=problem_of,
    )
