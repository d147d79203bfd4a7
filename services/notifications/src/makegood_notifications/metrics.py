"""The metrics that only notifications has: what becomes of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from makegood_chassis.metrics import DELAYS, counter, gauge, histogram
from makegood_contracts.events.deliveries import Channel

DELIVERIES: Final = counter(
    "makegood_deliveries_total",
    "messages",
    "Messages, by channel and by what became of them. `skipped`: the person must not be told, or it is no longer true.",
    "channel",
    "outcome",
    service="notifications",
)
DELIVERY_DELAY: Final = histogram(
    "makegood_delivery_delay_seconds",
    "seconds",
    "Time from what a message tells to its hand-over to the mail server or WhatsApp.",
    "channel",
    buckets=DELAYS,
    service="notifications",
)
DELIVERIES_IN_HAND: Final = gauge(
    "makegood_deliveries_in_hand", "messages", "Messages that are being sent now.", "channel", service="notifications"
)
CHANNEL_UNREACHABLE: Final = gauge(
    "makegood_channel_unreachable",
    "0 or 1",
    "1 while the mail server or WhatsApp cannot be reached or accepts nothing.",
    "channel",
    service="notifications",
)
STREAMS: Final = gauge("makegood_streams_open", "streams", "Live streams that are open.", service="notifications")

for _channel in get_args(Channel):
    for _outcome in ("sent", "failed", "skipped"):
        DELIVERIES.labels(_channel, _outcome)


def count_deliveries(channel: Channel, counts: Mapping[str, int]) -> None:
    """Counts deliveries that are over. `counts`: how many, by their outcome."""
    for outcome, count in counts.items():
        DELIVERIES.labels(channel, outcome).inc(count)
