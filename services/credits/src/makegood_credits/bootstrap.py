"""Wires the credits service."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.access.pruning import keep_pruned
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.messaging.handlers import DeadlineHandlers, EventHandlers
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.revocation import on_tokens_revoked
from makegood_chassis.service import Service, base
from makegood_contracts.events import (
    MemberNoShow,
    OutcomeCorrected,
    PersonErased,
    PolicyChanged,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    TokensRevoked,
)

from makegood_credits.api import adjustments, enrolments, invoices, members, plans, purchases, webhooks
from makegood_credits.api.dev_checkouts import dev_checkouts
from makegood_credits.api.enums import ENUMS
from makegood_credits.api.rights import EXPENSIVE, RIGHTS
from makegood_credits.handlers.corrections import on_corrected
from makegood_credits.handlers.due import LAPSE, MEMBER, MOVE_LAPSE, OVERDUE
from makegood_credits.handlers.endings import on_ended
from makegood_credits.handlers.erasure import on_person_erased
from makegood_credits.handlers.invoices import on_extended, on_overdue
from makegood_credits.handlers.moments import on_lapse, on_member_due
from makegood_credits.handlers.moves import on_move_funded, on_move_lapse, on_move_refused, on_move_requested, on_moved
from makegood_credits.handlers.policies import on_policy_changed
from makegood_credits.handlers.refunds import keep_giving_back
from makegood_credits.handlers.requested import on_requested, on_reserved
from makegood_credits.payments.choice import provider_of
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentProvider
from makegood_credits.settings import CreditsSettings
from makegood_credits.store.grants import GRANTS
from makegood_credits.store.personal_data import seal_reasons

EVENTS: EventHandlers = {
    SessionRequested: on_requested,
    SessionReserved: on_reserved,
    SessionRejected: on_ended,
    SessionDeclined: on_ended,
    SessionExpired: on_ended,
    SessionCancelled: on_ended,
    SessionCompleted: on_ended,
    ProviderMissed: on_ended,
    MemberNoShow: on_ended,
    SessionMoveRequested: on_move_requested,
    SessionMoveFunded: on_move_funded,
    SessionMoved: on_moved,
    SessionMoveRefused: on_move_refused,
    SessionExtended: on_extended,
    OutcomeCorrected: on_corrected,
    PersonErased: on_person_erased,
    PolicyChanged: on_policy_changed,
    TokensRevoked: on_tokens_revoked,
}

DEADLINES: DeadlineHandlers = {
    LAPSE: on_lapse,
    MEMBER: on_member_due,
    MOVE_LAPSE: on_move_lapse,
    OVERDUE: on_overdue,
}


def bootstrap(settings: CreditsSettings, clock: Clock | None = None) -> Service[PaymentProvider | None]:
    """Everything wired, nothing started."""
    clock, database, signals = base("credits", settings, clock)
    payments = provider_of(settings)
    return Service(
        name="credits",
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        events=EVENTS,
        deadlines=DEADLINES,
        migrations=Path(__file__).parents[2] / "migrations",
        grants=GRANTS,
        app=application,
        dependencies=payments,
        audited=True,
        workers=(
            keep_pruned(settings.access_retention),
            keep_sealed(seal_reasons),
            *((keep_giving_back(payments),) if payments else ()),
        ),
    )


def application(service: Service[PaymentProvider | None]) -> FastAPI:
    """The HTTP side."""
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
    if isinstance(service.dependencies, DevelopmentPayments) and service.settings.development:
        routers.append(dev_checkouts(service, service.dependencies))
    return create_app(
        service,
        title="Makegood credits",
        description="Plans, enrolments, credit lots, the ledger, invoices, purchases.",
        routers=routers,
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
    )
