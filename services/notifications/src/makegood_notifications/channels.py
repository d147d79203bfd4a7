"""The port behind which each channel stands (NOTE-1), and the ways in which one can fail.

E-mail and WhatsApp have a queue and a sender each, and carry messages out of the house. The room's chat and the app's list of
messages are tables of this service: a message is delivered there with the transaction that writes it down.
"""

from __future__ import annotations

from typing import Protocol

from makegood_contracts.events.deliveries import Channel

from makegood_notifications.store.deliveries import LeasedDelivery


class Trouble(Exception):
    """A message that was not taken. The text never holds addresses: servers repeat them in their answers."""


class Unreachable(Trouble):
    """The channel is away or takes nothing from us now: wait, whatever the message."""


class PutOff(Trouble):
    """The channel does not take this message now: try again later."""


class Late(Trouble):
    """The message's turn came so late that somebody else may soon take it: nothing was sent."""


class Refused(Trouble):
    """The channel will never take this message."""


class Carrier(Protocol):
    """Carries queued messages of one channel to people."""

    @property
    def channel(self) -> Channel: ...

    def hindrance(self, delivery: LeasedDelivery) -> tuple[str, str] | None:
        """(`skipped` or `failed`, reason) if the person is not to be told by this channel; None: they are."""

    async def send(self, delivery: LeasedDelivery) -> None:
        """Composes the message and hands it over. Raises Unreachable, PutOff, Late or Refused."""

    async def close(self) -> None:
        """Says goodbye."""
