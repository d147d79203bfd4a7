"""What the handlers and routers of a notifications process share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.personal_data.master_keys import MasterKeys
from makegood_chassis.signals import Signals

from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_notifications.mail.wording import Wording
from makegood_notifications.store.news import News
from makegood_notifications.streams import Streams


@dataclass(frozen=True, slots=True)
class Dependencies:
    database: Database
    clock: Clock
    signals: Signals
    wording: Wording
    email_worker: DeliveryWorker
    whatsapp_worker: DeliveryWorker
    news: News
    """How far the topics are read."""
    streams: Streams
    """The live streams that this process serves."""
    base_url: str
    """The gateway's address as people's devices see it, without a slash at the end."""
    confirm_within: timedelta
    """How long the link that confirms an address is valid."""
    erasure_waits: timedelta
    """How long an erasure can be withdrawn."""
    master_keys: MasterKeys
    """The keys that sign the links in e-mails."""
