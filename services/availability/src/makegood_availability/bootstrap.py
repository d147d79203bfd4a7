"""The one place where the availability service is put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.revocation import on_tokens_revoked
from makegood_chassis.service import Service, base
from makegood_contracts.events import (
    PersonErased,
    PolicyChanged,
    ProviderChanged,
    RoomClosed,
    RoomOpened,
    RoomRestarted,
    SessionExtensionRequested,
    SessionMoveFunded,
    SessionRequested,
    SessionReserved,
    TokensRevoked,
    WaitlistCandidateJudged,
)

from makegood_availability.api import check_in_codes, schedules, slots, venues, waitlist
from makegood_availability.api.enums import ENUMS
from makegood_availability.api.rights import EXPENSIVE, RIGHTS
from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import ENDINGS
from makegood_availability.handlers.endings import Endings
from makegood_availability.handlers.erasure import erases
from makegood_availability.handlers.lapses import LAPSE, Lapses
from makegood_availability.handlers.moves import Moves
from makegood_availability.handlers.policy import changed as policy_changed
from makegood_availability.handlers.requests import Requests
from makegood_availability.handlers.rooms import Rooms
from makegood_availability.handlers.venues import keep_told
from makegood_availability.handlers.waitlist import AGAIN, ENTRY, HORIZON, JOINED, LINE, VENUE, VENUE_AGAIN
from makegood_availability.settings import AvailabilitySettings
from makegood_availability.store.grants import GRANTS
from makegood_availability.store.schedules import seal_notes

NAME = "availability"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(settings: AvailabilitySettings, clock: Clock | None = None) -> Service[Dependencies]:
    """Everything wired, nothing started."""
    clock, database, signals = base(NAME, settings, clock)
    dependencies = Dependencies(database, clock)
    line = dependencies.line
    endings, rooms = Endings(line), Rooms(line)
    requests, moves = (
        Requests(dependencies.schedules, dependencies.venues, line),
        Moves(dependencies.schedules, dependencies.venues, line),
    )
    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        events={
            SessionRequested: requests.requested,
            SessionReserved: endings.reserved,
            SessionMoveFunded: moves.funded,
            SessionExtensionRequested: moves.extended,
            **{event: endings.ended(cause) for event, cause in ENDINGS.items()},
            **dict.fromkeys((RoomOpened, RoomClosed, RoomRestarted, ProviderChanged), rooms.told),
            WaitlistCandidateJudged: line.judged,
            PersonErased: erases(line),
            PolicyChanged: policy_changed,
            TokensRevoked: on_tokens_revoked,
        },
        deadlines={
            LAPSE: Lapses(line).lapsed,
            ENTRY: line.lapsed,
            **dict.fromkeys((LINE, HORIZON, VENUE), line.due),
            **dict.fromkeys((VENUE_AGAIN, JOINED, AGAIN), line.due_again),
        },
        migrations=MIGRATIONS,
        grants=GRANTS,
        dependencies=dependencies,
        app=app,
        access_retention=settings.access_retention,
        workers=(keep_sealed(seal_notes), keep_told),
    )


def app(service: Service[Dependencies]) -> FastAPI:
    """The service's HTTP side."""
    return create_app(
        service,
        title="Availability",
        description="Providers' schedules and time off, the slots they offer, who waits for one, and venues.",
        routers=[
            schedules.router,
            slots.router,
            venues.router,
            check_in_codes.router,
            waitlist.router,
            access_rows(service),
        ],
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
    )
