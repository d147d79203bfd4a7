"""The one place where the booking service is put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.messaging.handlers import bind
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.service import Service, base

from makegood_booking.api import (
    attendance,
    book,
    bookability,
    fhir,
    join_links,
    moving,
    outcomes,
    policies,
    restarts,
    rooms,
    sessions,
)
from makegood_booking.api.enums import ENUMS
from makegood_booking.api.refusals import problem_of
from makegood_booking.api.rights import EXPENSIVE, RIGHTS
from makegood_booking.dependencies import Dependencies
from makegood_booking.handlers.batching import BookingBatcher
from makegood_booking.handlers.routing import DEADLINES, EVENTS, is_relevant
from makegood_booking.join_links import JoinLinks
from makegood_booking.settings import BookingSettings
from makegood_booking.store import personal_data
from makegood_booking.store.grants import GRANTS
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.states import STATES

NAME = "booking"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(settings: BookingSettings, clock: Clock | None = None) -> Service[Dependencies]:
    """Wires everything and starts nothing."""
    clock, database, signals = base(NAME, settings, clock)
    cache = PolicyCache()
    dependencies = Dependencies(
        database=database,
        clock=clock,
        signals=signals,
        policies=cache,
        batcher=BookingBatcher(database, cache),
        join_links=JoinLinks(settings.join_key, settings.links_start),
        currencies=settings.currency_codes,
    )
    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        dependencies=dependencies,
        events=bind(EVENTS, dependencies),
        deadlines=bind(DEADLINES, dependencies),
        is_relevant=is_relevant,
        app=app,
        migrations=MIGRATIONS,
        grants=GRANTS,
        states=STATES,
        access_retention=settings.access_retention,
        workers=(keep_sealed(personal_data.seal_remarks, personal_data.seal_notes),),
    )


def app(service: Service[Dependencies]) -> FastAPI:
    """The service's HTTP side."""
    return create_app(
        service,
        title="Booking",
        description="Rooms, sessions from request to end, attendance, and the policies that apply to them.",
        routers=[
            book.router,
            sessions.router,
            fhir.router,
            attendance.router,
            join_links.router,
            moving.router,
            outcomes.router,
            rooms.router,
            restarts.router,
            bookability.router,
            policies.router,
            access_rows(service),
        ],
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
        problem_of=problem_of,
    )
