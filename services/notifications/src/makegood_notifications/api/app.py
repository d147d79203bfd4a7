"""The HTTP side of the notifications service."""

from __future__ import annotations

from fastapi import FastAPI
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.service import Service

from makegood_notifications.api import (
    calendar,
    contacts,
    deliveries,
    erasures,
    inbox,
    messages,
    persons,
    reminders,
    revocations,
    stream,
    unsubscribe,
)
from makegood_notifications.api.enums import ENUMS
from makegood_notifications.api.rights import EXPENSIVE, RIGHTS

DESCRIPTION = (
    "Contact details, room chat, reminders, calendars, what was sent to whom, and the live stream of client apps."
)


def make_app(service: Service) -> FastAPI:
    """The app with all routes and their rights."""
    routers = [
        contacts.router,
        inbox.router,
        erasures.router,
        persons.router,
        revocations.router,
        messages.router,
        reminders.router,
        calendar.router,
        deliveries.router,
        stream.router,
        unsubscribe.router,
        access_rows(service),
    ]
    return create_app(
        service,
        title="Makegood notifications",
        description=DESCRIPTION,
        routers=routers,
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
    )
