"""Carries messages by e-mail: text and HTML part, and the invitation where there is one (NOTE-1, NOTE-2, RESC-4)."""

from __future__ import annotations

import time
from email.utils import parseaddr
from functools import partial
from typing import Final

from makegood_contracts.events.deliveries import Channel

from makegood_notifications.channels import Late
from makegood_notifications.mail.calendar import calendar_message
from makegood_notifications.mail.composer import Mail, Part, compose
from makegood_notifications.mail.smtp import Mailer
from makegood_notifications.mail.wording import Wording
from makegood_notifications.store.deliveries import Taken

EMAIL: Final[Channel] = "email"


class EmailCarrier:
    """`mail_from` is the sender, and the organiser of invitations."""

    channel: Final = EMAIL

    def __init__(self, mailer: Mailer, wording: Wording, *, mail_from: str) -> None:
        self._mailer = mailer
        self._wording = wording
        self._mail_from = mail_from
        self._domain = parseaddr(mail_from)[1].rpartition("@")[2]

    def hindrance(self, delivery: Taken) -> tuple[str, str] | None:
        if delivery.email is None:
            return "skipped", "no-contact"
        return None if delivery.by_email else ("skipped", "not-wanted")

    async def send(self, delivery: Taken) -> None:
        # Composed when its turn comes, so that the first mails of many are on their way before the last is written.
        await self._mailer.send(partial(self._compose, delivery, delivery.email or ""))

    async def close(self) -> None:
        await self._mailer.close()

    def _compose(self, delivery: Taken, email: str) -> Mail:
        if time.monotonic() > delivery.turn_by:
            raise Late("waited for a connection")
        facts = delivery.facts
        text = self._wording.email(
            delivery.template,
            facts,
            name=delivery.name,
            other=delivery.other_name,
            locale=delivery.locale,
            to="provider" if delivery.person_id == facts.provider_id else "member",
        )
        calendar = None
        if facts.method is not None:
            content = calendar_message(
                facts,
                method=facts.method,
                sequence=facts.sequence,
                summary=text.summary,
                organiser=self._mail_from,
                attendee=(delivery.name, email),
                link=text.link,
                made_at=delivery.occurred_at,
            )
            calendar = Part(facts.method, content)
        return compose(
            message_id=f"{delivery.id}@{self._domain}",
            sent_at=delivery.occurred_at,
            sender=self._mail_from,
            recipient=(delivery.name, email),
            subject=text.subject,
            text=text.text,
            html=text.html,
            language=text.language,
            calendar=calendar,
        )
