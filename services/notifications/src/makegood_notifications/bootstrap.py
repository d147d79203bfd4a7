"""Wires the notifications service: the one place that knows all its parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from makegood_chassis.clock import Clock
from makegood_chassis.service import Service, base

from makegood_notifications.api.app import make_app
from makegood_notifications.domain.links import Links
from makegood_notifications.handlers.rooms import RoomModel
from makegood_notifications.handlers.routing import event_handlers
from makegood_notifications.handlers.sessions import Outlets, SessionMessages
from makegood_notifications.mail.sender import Sender
from makegood_notifications.mail.smtp import Mailer, SmtpMailer, SmtpServer
from makegood_notifications.mail.wording import Wording
from makegood_notifications.settings import NotificationsSettings
from makegood_notifications.store.stream import prune

NAME: Final = "notifications"
MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's own parts."""

    sender: Sender
    rooms: RoomModel
    messages: SessionMessages


def bootstrap(settings: NotificationsSettings, *, clock: Clock | None = None, mailer: Mailer | None = None) -> Service:
    """Everything wired, nothing started."""
    clock, database, signals = base(NAME, settings, clock)
    wording = Wording(Links(settings.links_start))
    sender = Sender(
        database,
        mailer or SmtpMailer(smtp_server(settings)),
        wording,
        mail_from=settings.mail_from,
        give_up_after=timedelta(hours=settings.mail_give_up_hours),
    )

    def wake_streams(people: Iterable[str]) -> None:
        signals.send({f"stream:{person}": True for person in people})

    parts = Parts(
        sender=sender,
        rooms=RoomModel(signals),
        messages=SessionMessages(wording, Outlets(sender.take_with, wake_streams)),
    )

    async def send(service: Service) -> None:
        await sender.run()

    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        events=event_handlers(parts.rooms, parts.messages),
        deadlines={},
        migrations=MIGRATIONS,
        parts=parts,
        app=make_app,
        workers=(send, prune),
    )


def smtp_server(settings: NotificationsSettings) -> SmtpServer:
    """The mail server that the settings name."""
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password,
        tls=settings.smtp_tls,
        connections=settings.smtp_connections,
        timeout=settings.smtp_timeout,
    )
