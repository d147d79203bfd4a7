"""Sends messages by WhatsApp."""

from __future__ import annotations

from typing import Final, Protocol

from makegood_contracts.events.deliveries import Channel

from makegood_notifications.mail.wording import Wording
from makegood_notifications.store.deliveries import LeasedDelivery
from makegood_notifications.whatsapp.cloud_api import TemplateMessage, number_of

WHATSAPP: Final[Channel] = "whatsapp"
AT_ONCE: Final = 64
"""Most messages that are in hand at once. If the process stops, those that still wait for a connection are not sent again
(`hindrance`), so there must not be many.
"""


class Messages(Protocol):
    """Where template messages go: the Cloud API, or something with the same interface."""

    async def send(self, message: TemplateMessage) -> str: ...

    async def close(self) -> None: ...


class WhatsAppCarrier:
    """Sends messages by WhatsApp. `api` is None if the installation has no account."""

    channel: Final = WHATSAPP

    def __init__(self, api: Messages | None, wording: Wording) -> None:
        self._api = api
        self._wording = wording

    def hindrance(self, delivery: LeasedDelivery) -> tuple[str, str] | None:
        """The API has no way to mark a message as a repeat (NOTE-2). If a worker died while sending it, it is not sent
        again: people would read it twice, and the e-mail says the same.
        """
        if self._api is None:
            return "skipped", "no-account"
        if delivery.email is None or not number_of(delivery.phone or ""):
            return "skipped", "no-contact"
        if not delivery.by_whatsapp:
            return "skipped", "not-wanted"
        return ("failed", "unknown") if delivery.uncertain else None

    async def send(self, delivery: LeasedDelivery) -> None:
        if self._api is None:
            raise RuntimeError("there is no account")
        short = self._wording.short(
            delivery.notice.template,
            delivery.notice.content,
            other=delivery.other_name,
            locale=delivery.locale,
            to=delivery.notice.to,
            venues=delivery.venues,
            rebookable=delivery.state.rebookable,
        )
        await self._api.send(
            TemplateMessage(
                to=number_of(delivery.phone or ""),
                template=short.template,
                language=short.language,
                parameters=short.parameters,
                path=short.path,
                reference=delivery.id,
            )
        )

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()
