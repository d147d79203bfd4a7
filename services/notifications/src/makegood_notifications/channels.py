"""The interface of a channel that takes messages out of the service (NOTE-1), and how it can fail.

E-mail and WhatsApp each have a queue and a delivery worker. The room's chat and the app's list of messages are tables of this
service: a message is delivered there with the transaction that writes it.
"""

from __future__ import annotations

from typing import Protocol

from makegood_contracts.events.deliveries import Channel

from makegood_notifications.store.deliveries import LeasedDelivery


class Trouble(Exception):
    """A message was not accepted. The text never contains addresses, although servers repeat them in their answers."""


class Unreachable(Trouble):
    """The channel cannot be reached, or accepts nothing from us now. Every message has to wait."""


class InDoubt(Trouble):
    """The channel was asked and did not answer. Nobody knows whether it took the message, and a repeat could not be recognised."""


class PutOff(Trouble):
    """The channel does not accept this message now. Try again later."""


class Late(Trouble):
    """The message waited too long for its turn: another worker may lease it soon. Nothing was sent."""


class Refused(Trouble):
    """The channel will never accept this message."""


class Carrier(Protocol):
    """Delivers queued messages by one channel."""

    @property
    def channel(self) -> Channel: ...

    def hindrance(self, delivery: LeasedDelivery) -> tuple[str, str] | None:
        """(`skipped` or `failed`, reason) if the person must not be told by this channel. Otherwise None."""

    async def send(self, delivery: LeasedDelivery) -> None:
        """Composes the message and sends it. Raises Unreachable, InDoubt, PutOff, Late or Refused."""

    async def close(self) -> None:
        """Closes its connections."""
