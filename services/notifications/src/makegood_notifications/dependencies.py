"""The service's own parts, for its routers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from makegood_chassis.personal_data.master_keys import MasterKeys

from makegood_notifications.delivery_worker import DeliveryWorker
from makegood_notifications.mail.wording import Wording
from makegood_notifications.streams import Streams


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What `bootstrap` made."""

    wording: Wording
    email_worker: DeliveryWorker
    whatsapp_worker: DeliveryWorker
    streams: Streams
    base_url: str
    """The gateway's address as people's devices see it, without a slash at its end."""
    confirm_within: timedelta
    """How long the link that confirms an address is good."""
    erasure_waits: timedelta
    """How long an erasure can be taken back."""
    master_keys: MasterKeys
    """What the links in e-mails are signed with."""
