"""Wires the notifications service: the one place that knows all its parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

from makegood_chassis.access.pruning import keep_pruned
from makegood_chassis.clock import Clock
from makegood_chassis.personal_data.maintenance import keep_sealed
from makegood_chassis.service import Service, base

from makegood_notifications.api.app import make_app
from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.links import Links
from makegood_notifications.handlers.credits import CreditMessages
from makegood_notifications.handlers.erasures import ERASURE, on_erasure_due
from makegood_notifications.handlers.plans import PlanModel, WaitlistMessages
from makegood_notifications.handlers.reminders import Reminding
from makegood_notifications.handlers.rooms import RoomMessages, RoomModel
from makegood_notifications.handlers.routing import Handlers, event_handlers
from makegood_notifications.handlers.sessions import SessionMessages
from makegood_notifications.handlers.telling import Channels, Notifier
from makegood_notifications.mail import unsubscribing
from makegood_notifications.mail.carrier import EmailCarrier
from makegood_notifications.mail.smtp import Mailer, SmtpMailer, SmtpServer
from makegood_notifications.mail.wording import Wording
from makegood_notifications.settings import NotificationsSettings
from makegood_notifications.store import allowances, chat, remarks, revocations
from makegood_notifications.store.grants import GRANTS
from makegood_notifications.store.news import News
from makegood_notifications.store.stream import prune
from makegood_notifications.streams import Streams
from makegood_notifications.whatsapp.carrier import Messages, WhatsAppCarrier
from makegood_notifications.whatsapp.cloud_api import Account, CloudApi

NAME: Final = "notifications"
MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"


def bootstrap(
    settings: NotificationsSettings,
    *,
    clock: Clock | None = None,
    mailer: Mailer | None = None,
    whatsapp: Messages | None = None,
) -> Service[Dependencies]:
    """Everything wired, nothing started."""
    clock, database, signals = base(NAME, settings, clock)
    wording = Wording(Links(settings.links_start))
    give_up_after = timedelta(hours=settings.mail_give_up_hours)
    email = EmailCarrier(
        mailer or SmtpMailer(smtp_server(settings)),
        wording,
        mail_from=settings.mail_from,
        master_keys=settings.master_keys,
        unsubscribe_url=settings.public_base_url.rstrip("/") + unsubscribing.PATH,
    )
    news = News(database)
    email_worker = DeliveryWorker(database, email, news, give_up_after=give_up_after)
    whatsapp_worker = DeliveryWorker(
        database, WhatsAppCarrier(whatsapp or whatsapp_account(settings), wording), news, give_up_after=give_up_after
    )

    def wake_streams(people: Iterable[str]) -> None:
        signals.send({f"stream:{person}": True for person in people})

    notifier = Notifier(wording, Channels(email_worker, whatsapp_worker.wake, wake_streams))
    credits_ = CreditMessages(notifier)
    streams = Streams(signals, each=settings.person_streams, total=settings.streams_at_once)
    rooms, plans = RoomModel(signals), PlanModel(signals)

    async def send(service: Service[Dependencies]) -> None:
        await email_worker.run()

    async def send_by_whatsapp(service: Service[Dependencies]) -> None:
        await whatsapp_worker.run()

    events = event_handlers(
        Handlers(
            rooms=rooms,
            plans=plans,
            sessions=SessionMessages(notifier, credits_),
            room_messages=RoomMessages(rooms, notifier),
            credits=credits_,
            waitlist=WaitlistMessages(plans, notifier),
        )
    )
    news.expect({kind.topic.name for kind in events})

    return Service(
        name=NAME,
        settings=settings,
        clock=clock,
        database=database,
        signals=signals,
        events=events,
        deadlines={**Reminding(notifier, news).handlers, ERASURE: on_erasure_due},
        migrations=MIGRATIONS,
        grants=GRANTS,
        dependencies=Dependencies(
            wording,
            email_worker,
            whatsapp_worker,
            streams,
            settings.public_base_url.rstrip("/"),
            timedelta(hours=settings.contact_confirm_hours),
            timedelta(days=settings.erasure_wait_days),
            settings.master_keys,
        ),
        app=make_app,
        audited=True,
        on_read=news.note,
        linger_seconds=0.03,
        workers=(
            send,
            send_by_whatsapp,
            prune,
            allowances.keep_pruned,
            keep_sealed(chat.seal_messages, revocations.seal_reasons, remarks.publish_missing),
            keep_pruned(settings.access_retention),
        ),
    )


def whatsapp_account(settings: NotificationsSettings) -> CloudApi | None:
    """The account that the settings name, if any."""
    if not settings.whatsapp_url:
        return None
    return CloudApi(
        Account(
            url=settings.whatsapp_url,
            version=settings.whatsapp_version,
            phone_number_id=settings.whatsapp_phone_number_id,
            token=settings.whatsapp_token.get_secret_value(),
        )
    )


def smtp_server(settings: NotificationsSettings) -> SmtpServer:
    """The mail server that the settings name."""
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        tls=settings.smtp_tls,
        ca_file=settings.smtp_ca_file,
        connections=settings.smtp_connections,
        timeout=settings.smtp_timeout,
    )
