"""Sends messages by e-mail, with the invitation if there is one (NOTE-1, NOTE-2, RESC-4)."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import parseaddr
from functools import partial
from typing import Final

from makegood_chassis.personal_data.master_keys import MasterKeys
from makegood_contracts.events.deliveries import Channel

from makegood_notifications.channels import Late
from makegood_notifications.domain.contacts import CONFIRM, PURPOSE, secret_of
from makegood_notifications.domain.deliveries import ALWAYS
from makegood_notifications.mail import unsubscribing
from makegood_notifications.mail.calendar import calendar_message
from makegood_notifications.mail.composer import Mail, Part, compose
from makegood_notifications.mail.smtp import Mailer
from makegood_notifications.mail.wording import Wording
from makegood_notifications.store.deliveries import LeasedDelivery

EMAIL: Final[Channel] = "email"
TURN_SECONDS: Final = 30.0
"""How long after the start of its lease a mail may still be sent, so that sending ends within the lease. If the mail
server is slow, many mails wait for few connections.
"""


class EmailCarrier:
    """`mail_from` is the sender, and the organiser of invitations. Unsubscribe links start with `unsubscribe_url`."""

    channel: Final = EMAIL

    def __init__(
        self, mailer: Mailer, wording: Wording, *, mail_from: str, master_keys: MasterKeys, unsubscribe_url: str
    ) -> None:
        self._mailer = mailer
        self._wording = wording
        self._mail_from = mail_from
        self._master_keys = master_keys
        self._unsubscribe_url = unsubscribe_url
        self.turn_seconds = TURN_SECONDS
        self._domain = parseaddr(mail_from)[1].rpartition("@")[2]

    def hindrance(self, delivery: LeasedDelivery) -> tuple[str, str] | None:
        template = delivery.notice.template
        if template == CONFIRM:
            return None if delivery.pending else ("skipped", "no-longer-true")
        if delivery.email is None:
            return "skipped", "no-contact"
        return None if delivery.by_email or template in ALWAYS else ("skipped", "not-wanted")

    async def send(self, delivery: LeasedDelivery) -> None:
        # Composed when its turn comes, so that the first of many mails are on their way before the last is written.
        recipient = delivery.recipient or (delivery.pending.email if delivery.pending else delivery.email)
        await self._mailer.send(partial(self._compose, delivery, recipient or ""))

    async def close(self) -> None:
        await self._mailer.close()

    def _secret(self, delivery: LeasedDelivery) -> str | None:
        """The secret in the link of a confirmation. It is made together with the mail, so that no queue holds it."""
        if delivery.pending is None:
            return None
        key = self._master_keys.secret(PURPOSE, delivery.pending.master_key)
        return secret_of(key, delivery.person_id, delivery.pending.change_id)

    def _compose(self, delivery: LeasedDelivery, email: str) -> Mail:
        if time.monotonic() > delivery.leased_at + self.turn_seconds:
            raise Late("waited for a connection")
        notice = delivery.notice
        content = notice.content
        # An address that is not confirmed, or no longer, may be read by a stranger, so its mail contains no names.
        stranger = delivery.pending is not None or delivery.recipient is not None
        name = "" if stranger else delivery.name
        text = self._wording.email(
            notice.template,
            replace(content, length_minutes=0, details=None) if delivery.recipient else content,
            name=name,
            other="" if stranger else delivery.other_name,
            locale=delivery.locale,
            to=notice.to,
            secret=self._secret(delivery),
            venues=delivery.venues,
            rebookable=delivery.state.rebookable,
            remark=None if stranger else delivery.remark,
        )
        calendar = None
        if content.method is not None and delivery.invited:
            message = calendar_message(
                content,
                method=content.method,
                sequence=content.sequence,
                appointment=text.appointment,
                organiser=self._mail_from,
                attendee=(name, email),
                made_at=notice.source.occurred_at,
            )
            calendar = Part(content.method, message)
        return compose(
            message_id=f"{delivery.id}@{self._domain}",
            sent_at=notice.source.occurred_at,
            sender=self._mail_from,
            recipient=(name, email),
            subject=text.subject,
            text=text.text,
            html=text.html,
            language=text.language,
            calendar=calendar,
            fields=self._unsubscribe(delivery, email),
        )

    def _unsubscribe(self, delivery: LeasedDelivery, email: str) -> tuple[tuple[str, str], ...]:
        """Headers for the unsubscribe button, if the person's preferences can turn the message off."""
        if delivery.notice.template in ALWAYS:
            return ()
        link = unsubscribing.link_for(self._master_keys, delivery.person_id, email)
        return unsubscribing.headers(f"{self._unsubscribe_url}/{link.token}")
