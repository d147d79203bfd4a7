"""The one place where the notifications service is put together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.http.access_log import access_rows
from makegood_chassis.http.app import create_app
from makegood_chassis.messaging.handlers import bind
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.pruning import keep_pruned
from makegood_chassis.service import Service, base

from makegood_notifications.api import (
    calendar,
    contacts,
    deliveries,
    messages,
    personal_data,
    reminders,
    revocations,
    stream,
    unsubscribe,
)
from makegood_notifications.api.enums import ENUMS
from makegood_notifications.api.refusals import problem_of
from makegood_notifications.api.rights import EXPENSIVE, RIGHTS
from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.links import Links
from makegood_notifications.handlers.routing import DEADLINES, EVENTS
from makegood_notifications.mail import unsubscribing
from makegood_notifications.mail.carrier import EmailCarrier
from makegood_notifications.mail.smtp import Mailer, SmtpMailer, SmtpServer
from makegood_notifications.mail.wording import Wording
from makegood_notifications.settings import NotificationsSettings
from makegood_notifications.store import allowances, chat, news, remarks
from makegood_notifications.store import revocations as revocation_store
from makegood_notifications.store import stream as stream_store
from makegood_notifications.store.grants import GRANTS
from makegood_notifications.store.states import STATES
from makegood_notifications.streams import Streams
from makegood_notifications.whatsapp.carrier import AT_ONCE, Messages, WhatsAppCarrier
from makegood_notifications.whatsapp.cloud_api import CloudApi

NAME = "notifications"
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def bootstrap(
    settings: NotificationsSettings,
    clock: Clock | None = None,
    *,
    mailer: Mailer | None = None,
    whatsapp: Messages | None = None,
) -> Service[Dependencies]:
    """Wires everything and starts nothing."""
    clock, database, signals = base(NAME, settings, clock)
    base_url = settings.public_base_url.rstrip("/")
    wording = Wording(Links(settings.links_start))
    news_read = news.News(database, {kind.topic.name for kind in EVENTS})
    email_carrier = EmailCarrier(
        mailer or SmtpMailer(SmtpServer.of(settings)),
        wording,
        mail_from=settings.mail_from,
        master_keys=settings.master_keys,
        unsubscribe_url=base_url + unsubscribing.PATH,
    )
    whatsapp_carrier = WhatsAppCarrier(whatsapp or CloudApi.of(settings), wording)
    give_up_after = timedelta(hours=settings.mail_give_up_hours)
    dependencies = Dependencies(
        database=database,
        clock=clock,
        signals=signals,
        wording=wording,
        email_worker=DeliveryWorker(database, email_carrier, news_read, give_up_after=give_up_after),
        whatsapp_worker=DeliveryWorker(
            database, whatsapp_carrier, news_read, give_up_after=give_up_after, at_once=AT_ONCE
        ),
        news=news_read,
        streams=Streams(signals, each=settings.person_streams, total=settings.streams_at_once),
        base_url=base_url,
        confirm_within=timedelta(hours=settings.contact_confirm_hours),
        erasure_waits=timedelta(days=settings.erasure_wait_days),
        master_keys=settings.master_keys,
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
        app=app,
        migrations=MIGRATIONS,
        grants=GRANTS,
        states=STATES,
        access_retention=settings.access_retention,
        on_read=news_read.note,
        linger_seconds=0.03,
        workers=(
            send_emails,
            send_whatsapp_messages,
            keep_pruned(stream=stream_store.RETENTION, allowances=allowances.RETENTION, readers=news.RETENTION),
            keep_sealed(chat.seal_messages, revocation_store.seal_reasons, remarks.publish_missing),
        ),
    )


def app(service: Service[Dependencies]) -> FastAPI:
    """The service's HTTP side."""
    return create_app(
        service,
        title="Notifications",
        description="Contact details, room chat, reminders, calendars, what was sent to whom, and the live stream of client apps.",
        routers=[
            contacts.router,
            personal_data.router,
            revocations.router,
            messages.router,
            reminders.router,
            calendar.router,
            deliveries.router,
            stream.router,
            unsubscribe.router,
            access_rows(service),
        ],
        rights=RIGHTS,
        enums=ENUMS,
        expensive=EXPENSIVE,
        problem_of=problem_of,
    )


async def send_emails(service: Service[Dependencies]) -> None:
    await service.dependencies.email_worker.run()


async def send_whatsapp_messages(service: Service[Dependencies]) -> None:
    await service.dependencies.whatsapp_worker.run()
