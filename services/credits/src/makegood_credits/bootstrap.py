"""The one place where the credits service is put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.messaging.handlers import bind
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.service import Service, base

from makegood_credits.api import adjustments, enrolments, invoices, members, plans, purchases, webhooks
from makegood_credits.api.dev_checkouts import dev_checkouts
from makegood_credits.api.enums import ENUMS
from makegood_credits.api.rights import EXPENSIVE, RIGHTS
from makegood_credits.dependencies import Dependencies
from makegood_credits.handlers.refunds import keep_giving_back
from makegood_credits.handlers.routing import DEADLINES, EVENTS
from makegood_credits.payments.choice import provider_of
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.settings import CreditsSettings
from makegood_credits.store.grants import GRANTS
from makegood_credits.store.personal_data import seal_reasons
from makegood_credits.store.states import STATES

NAME = "credits"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(settings: CreditsSettings, clock: Clock | None = None) -> Service[Dependencies]:
    """Wires everything and starts nothing."""
    clock, database, signals = base(NAME, settings, clock)
    dependencies = Dependencies(database=database, clock=clock, payments=provider_of(settings))
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
        workers=(
            keep_sealed(seal_reasons),
            *((keep_giving_back,) if dependencies.payments else ()),
        ),
    )


def app(service: Service[Dependencies]) -> FastAPI:
    """The service's HTTP side."""
    routers = [
        plans.router,
        enrolments.router,
        members.router,
        adjustments.router,
        invoices.router,
        purchases.router,
        webhooks.router,
        access_rows(service),
    ]
    if isinstance(service.dependencies.payments, DevelopmentPayments) and service.settings.development:
        routers.append(dev_checkouts(service, service.dependencies.payments))
    return create_app(
        service,
        title="Credits",
        description="Plans, enrolments, credits, the ledger, invoices and purchases.",
        routers=routers,
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
    )
